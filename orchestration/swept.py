"""A worker process of a sweep: forked from a process that has everything imported, it dies at a named point."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from domain import faults
from domain.action import Executor
from domain.hosts import AllowedHost
from domain.model import Frozen
from domain.settings import Settings
from domain.task import Lane
from orchestration.direct import DIRECT
from orchestration.graph import Graphs
from orchestration.run import Runtime, run_task
from orchestration.wiring import open_runtime
from orchestration.worker import Worker
from storage.leases import Claim
from tasks.executors import EXECUTORS
from tasks.executors.record_decision import RecordDecision


class Orders(Frozen):
    """What one process of a sweep is to do."""

    dsn: str
    home: Path
    catalog: Path
    log: Path
    fault: str = ""
    """Where to die; nowhere if empty."""
    stops: bool = False
    """Whether it stands still there (SIGSTOP) instead."""
    trace: Path | None = None
    """Where to write down every point that is reached."""
    lease_seconds: int = 30
    concurrency: int = 4
    outbound_hosts: tuple[AllowedHost, ...] = ()
    """What may be called; where there is none, executors have stand-ins."""


def stand_ins(engine: AsyncEngine) -> Mapping[str, Executor]:
    """Every executor by one that writes to the sweep's own database: a sweep calls nothing outside."""
    made: dict[str, Executor] = {}
    for name in EXECUTORS:
        made[name] = RecordDecision(engine)
    return made


def serve(orders: Orders) -> None:
    """Work until told to stop, or dead."""
    orders.log.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(orders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    how = signal.SIGSTOP if orders.stops else signal.SIGKILL
    faults.watch(_tracer(orders.trace) if orders.trace else faults.killer(orders.fault, how))
    asyncio.run(_serve(orders))


def _tracer(path: Path) -> faults.Watch:
    written = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(point: str) -> None:
        os.write(written, f"{point}\n".encode())

    return write


async def _serve(orders: Orders) -> None:
    settings = Settings(
        home=orders.home,
        catalog=orders.catalog,
        database_url=orders.dsn,
        qdrant_url=None,
        lease_seconds=orders.lease_seconds,
        worker_concurrency=orders.concurrency,
        recover_seconds=0.5,
        outbound_hosts=orders.outbound_hosts,
    )
    async with open_runtime(settings, None if orders.outbound_hosts else stand_ins) as runtime:
        worker = Worker(runtime, settings, {Lane.DIRECT: _run_direct})
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


async def _run_direct(runtime: Runtime, claim: Claim, graphs: Graphs) -> None:
    await run_task(runtime, claim.lease, DIRECT, graphs)
