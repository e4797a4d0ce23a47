"""A worker process: both lanes, until it is told to stop."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack, suppress

import psycopg

from domain.outage import Outage
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

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_CONNECT_SECONDS = 3


async def _run_direct(runtime: Runtime, claim: Claim, graphs: Graphs) -> None:
    await run_task(runtime, claim.lease, DIRECT, graphs)


async def serve(settings: Settings, seconds: float | None = None) -> None:
    """Work until SIGINT or SIGTERM, or for so many seconds; what runs is finished first. Waits for a Postgres that is
    away. Raises StackError, CatalogError.
    """
    stop, workers = asyncio.Event(), list[Worker]()

    def end() -> None:
        stop.set()
        for one in workers:
            one.stop()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, end)
    if seconds is not None:
        loop.call_later(seconds, end)
    async with AsyncExitStack() as parts:
        runtime = await _opened(settings, parts, stop)
        if runtime is None:
            return
        worker = Worker(runtime, settings, {Lane.DIRECT: _run_direct, Lane.TRACED: run_claim})
        workers.append(worker)
        agreeing = asyncio.create_task(keep_agreeing(runtime.engine))
        try:
            await worker.run()
        finally:
            agreeing.cancel()
            await asyncio.gather(agreeing, return_exceptions=True)


async def _opened(settings: Settings, parts: AsyncExitStack, stop: asyncio.Event) -> Runtime | None:
    """The runtime, once Postgres is there; None where it was told to stop before."""
    outage = Outage("Postgres is away", log.warning)
    while not stop.is_set():
        try:
            if settings.database_url is not None:
                await _reach(settings.database_url)
            runtime = await parts.enter_async_context(open_runtime(settings))
        except psycopg.OperationalError as error:
            outage.goes_on(error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _PAUSE_SECONDS)
        else:
            outage.is_over()
            return runtime
    return None


async def _reach(dsn: str) -> None:
    """Sooner than a pool says so: it asks for half a minute."""
    connection = await psycopg.AsyncConnection.connect(dsn, connect_timeout=_CONNECT_SECONDS)
    await connection.close()
