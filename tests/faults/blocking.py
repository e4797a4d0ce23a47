"""A worker process whose one executor blocks its event loop: `python -m tests.faults.blocking`."""

import asyncio
import time
from dataclasses import replace
from typing import Any

from domain.action import ActionRequest
from domain.settings import Settings
from domain.task import Lane
from orchestration.direct import DIRECT
from orchestration.graph import Graphs
from orchestration.run import Runtime, run_task
from orchestration.wiring import open_runtime
from orchestration.worker import Worker
from storage.leases import Claim
from tasks.executors.record_decision import RecordDecision

CALLED = "called"


class Blocking(RecordDecision):
    """Its target takes the request and never answers, and it does not wait as a coroutine should."""

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Never to return."""
        (Settings().home / CALLED).touch()
        time.sleep(600)  # this is the fault
        raise AssertionError


async def direct(runtime: Runtime, claim: Claim, graphs: Graphs) -> None:
    """The direct lane's runner."""
    await run_task(runtime, claim.lease, DIRECT, graphs)


async def main() -> None:
    """Work until killed."""
    settings = Settings()
    async with open_runtime(settings) as opened:
        runtime = replace(opened, executors=lambda engine: {"record_decision": Blocking(engine)})
        await Worker(runtime, settings, {Lane.DIRECT: direct}).run()


if __name__ == "__main__":
    asyncio.run(main())
