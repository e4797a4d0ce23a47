"""A process that resumes each task it is told of under the lease it is told to have: `python -m tests.faults.resuming`.

Reads lines of `<task id> <fence>` and answers each with `<task id> <outcome>`.
"""

import asyncio
import sys

from domain.errors import LeaseLost
from domain.settings import Settings
from domain.task import Lease
from orchestration.direct import DIRECT
from orchestration.run import run_task
from orchestration.wiring import open_runtime


async def main() -> None:
    """Serve until the input ends."""
    async with open_runtime(Settings()) as runtime:
        graphs = runtime.graphs()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while line := await asyncio.to_thread(sys.stdin.readline):
            task_id, fence = line.split()
            try:
                status = await run_task(runtime, Lease(task_id=task_id, owner="p", fence=int(fence)), DIRECT, graphs)
                outcome = status.value
            except LeaseLost:
                outcome = "lost"
            sys.stdout.write(f"{task_id} {outcome}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
