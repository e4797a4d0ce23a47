"""Where the direct lane's time goes: a profile of its loop's thread, `python -m bench.hotspots`."""

import asyncio
import cProfile
import os
import pstats
import sys
import tempfile
from pathlib import Path

from bench.direct import run_direct, submit
from bench.lanes import stack, variables
from domain.settings import Settings
from domain.task import Lane
from orchestration.wiring import open_runtime

TASKS = 60


async def _profiled(kept: Path | None) -> None:
    settings = Settings(worker_concurrency=8)
    async with open_runtime(settings) as runtime:
        await run_direct(runtime, settings, await submit(runtime, 0, 16, Lane.DIRECT))
        task_ids = await submit(runtime, 16, TASKS, Lane.DIRECT)
        profile = cProfile.Profile()
        profile.enable()
        seconds = await run_direct(runtime, settings, task_ids)
        profile.disable()
    print(f"{TASKS / seconds:.1f} tasks a second under the profiler", file=sys.stderr)
    figures = pstats.Stats(profile)
    figures.sort_stats("tottime").print_stats(45)
    figures.sort_stats("cumulative").print_stats(130)
    if kept is not None:
        figures.dump_stats(kept)


def main() -> None:
    """Print the profile; an argument names a file to keep it in."""
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder, stack(Path(folder)) as state:
        os.environ.update(variables(state))
        asyncio.run(_profiled(kept))


if __name__ == "__main__":
    main()
