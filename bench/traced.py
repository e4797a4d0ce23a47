"""Seconds a task: the traced lane and a bare Prefect flow of as many task runs and subflows, in turns."""

import asyncio
import json
import statistics
import sys
import time

from prefect import flow, task

from bench.direct import submit
from bench.recording import Script, record
from domain.settings import Settings
from domain.task import Lane
from flows.orchestrate_task import run_claim
from orchestration.graph import Graphs
from orchestration.run import Runtime
from orchestration.wiring import open_runtime
from storage.leases import claim_one

TASKS = 12
WARM_UP = 2
OFFSET = 1000


@task
async def _stage(name: str) -> dict[str, str]:
    return {"stage": name}


@flow(validate_parameters=False)
async def _round(name: str) -> dict[str, str]:
    return await _stage(name)


@flow(validate_parameters=False)
async def _bare(names: list[str]) -> None:
    for name in names:
        await (_round(name) if name == "negotiate" else _stage(name))


async def _traced(runtime: Runtime, graphs: Graphs, task_id: str) -> float:
    begin = time.perf_counter()
    claim = await claim_one(runtime.engine, "bench", task_id, seconds=60)
    assert claim is not None, "nobody else works on the bench's database"
    await run_claim(runtime, claim, graphs)
    return time.perf_counter() - begin


async def _plain(script: Script) -> float:
    # Dispatch is a node of the graph, yet no stage: it has no task run.
    names = [step.name for step in script.steps if step.name != "dispatch"]
    begin = time.perf_counter()
    await _bare(names)
    return time.perf_counter() - begin


async def main() -> None:
    """Print the medians as JSON."""
    settings = Settings()
    pairs: list[tuple[float, float]] = []
    async with open_runtime(settings) as runtime:
        task_ids = await submit(runtime, OFFSET, WARM_UP + TASKS, Lane.TRACED)
        graphs = runtime.graphs()
        for number, task_id in enumerate(task_ids):
            traced = await _traced(runtime, graphs, task_id)
            (script,) = await record(runtime.engine, [task_id])
            bare = await _plain(script)
            told = f"traced {traced:.3f} s, bare Prefect {bare:.3f} s"
            print(f"task {number + 1} of {len(task_ids)}: {told}", file=sys.stderr, flush=True)
            pairs.append((traced, bare))
    names = ("traced", "bare_prefect")
    medians = [statistics.median(side) for side in zip(*pairs[WARM_UP:], strict=True)]
    print(json.dumps({name: {"seconds_per_task": round(m, 4)} for name, m in zip(names, medians, strict=True)}))


if __name__ == "__main__":
    asyncio.run(main())
