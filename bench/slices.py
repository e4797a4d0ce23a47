"""The direct lane in slices, on a Postgres of its own: `python FILE` in a checkout; a line with a count asks for one.

Run as a file, so that it can be put to a checkout that does not have it; it answers with tasks a second and
milliseconds of processor time a task.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

AT_ONCE = 8


async def serve() -> None:
    """Until the input ends."""
    from bench.direct import run_direct, submit
    from domain.settings import Settings
    from domain.task import Lane
    from orchestration.wiring import open_runtime

    settings, offset = Settings(worker_concurrency=AT_ONCE), 0
    async with open_runtime(settings) as runtime:
        _tell("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            count = int(line)
            task_ids = await submit(runtime, offset, count, Lane.DIRECT)
            offset, spent = offset + count, time.process_time()
            seconds = await run_direct(runtime, settings, task_ids)
            _tell(json.dumps([count / seconds, 1000 * (time.process_time() - spent) / count]))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """On what is imported from the current folder."""
    sys.path.insert(0, os.getcwd())
    from bench.lanes import stack, variables

    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder, stack(Path(folder)) as state:
        os.environ.update(variables(state))
        asyncio.run(serve())


if __name__ == "__main__":
    main()
