"""Tasks a second: the direct lane, bare LangGraph and DBOS, in alternating slices of the same work."""

import asyncio
import json
import os
import statistics
import sys

from bench.bare_langgraph import run_bare
from bench.direct import run_direct, submit
from bench.on_dbos import launched, run_dbos
from bench.recording import record, stand_in
from domain.settings import Settings
from domain.task import Lane
from orchestration.run import Runtime
from orchestration.wiring import open_runtime

SLICES = 4
TASKS = 50
WARM_UP = 24
AT_ONCE = 8


async def _slice(runtime: Runtime, settings: Settings, number: int, offset: int, count: int) -> dict[str, float]:
    """Seconds of each, on the same rows; who follows the direct lane changes from slice to slice."""
    task_ids = await submit(runtime, offset, count, Lane.DIRECT)
    seconds = {"direct": await run_direct(runtime, settings, task_ids)}
    scripts = await record(runtime.engine, task_ids)
    steps = sum(len(script.steps) for script in scripts) / count
    for name in ("bare_langgraph", "dbos") if number % 2 else ("dbos", "bare_langgraph"):
        made = await stand_in(runtime.engine, scripts)
        if name == "dbos":
            with launched(os.environ["BENCH_DBOS_DSN"]):
                seconds[name] = await run_dbos(runtime.engine, made, AT_ONCE)
        else:
            seconds[name] = await run_bare(runtime.engine, runtime.checkpoints, made, AT_ONCE)
    told = ", ".join(f"{name} {count / value:.1f}/s" for name, value in seconds.items())
    print(f"slice {number}: {count} tasks of {steps:.2f} nodes: {told}", file=sys.stderr, flush=True)
    return seconds


async def main() -> None:
    """Print the medians as JSON."""
    settings = Settings(worker_concurrency=AT_ONCE)
    async with open_runtime(settings) as runtime:
        await _slice(runtime, settings, 0, 0, WARM_UP)
        slices = [
            await _slice(runtime, settings, number, WARM_UP + (number - 1) * TASKS, TASKS)
            for number in range(1, SLICES + 1)
        ]
    rates = {name: statistics.median(TASKS / one[name] for one in slices) for name in slices[0]}
    print(json.dumps({name: {"tasks_per_second": round(rate, 2)} for name, rate in rates.items()}))


if __name__ == "__main__":
    asyncio.run(main())
