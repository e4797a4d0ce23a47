"""A worker process: both lanes, until it is told to stop."""

import asyncio
import signal

from domain.settings import Settings
from domain.task import Lane
from flows.disagreement import keep_agreeing
from flows.orchestrate_task import run_claim
from orchestration.direct import DIRECT
from orchestration.graph import Graphs
from orchestration.run import Runtime, run_task
from orchestration.wiring import open_runtime
from orchestration.worker import Worker
from storage.leases import Claim


async def _run_direct(runtime: Runtime, claim: Claim, graphs: Graphs) -> None:
    await run_task(runtime, claim.lease, DIRECT, graphs)


async def serve(settings: Settings, seconds: float | None = None) -> None:
    """Work until SIGINT or SIGTERM, or for so many seconds; what runs is finished first."""
    async with open_runtime(settings) as runtime:
        worker = Worker(runtime, settings, {Lane.DIRECT: _run_direct, Lane.TRACED: run_claim})
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, worker.stop)
        if seconds is not None:
            loop.call_later(seconds, worker.stop)
        agreeing = asyncio.create_task(keep_agreeing(runtime.engine))
        try:
            await worker.run()
        finally:
            agreeing.cancel()
            await asyncio.gather(agreeing, return_exceptions=True)
