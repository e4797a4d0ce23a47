"""A run of the red team from the command line: without a stack, and with one that keeps the figures."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from deployments.local import connect
from deployments.postgres import start_postgres
from domain.errors import StackError
from domain.settings import Settings
from guardrails.redteam.baseline import FILE, SHIPPED, Baseline, load_baseline, made_from, save_baseline
from guardrails.redteam.scenarios import PILOT
from orchestration.redteam import run
from orchestration.redteam.report import Report
from storage.engine import async_engine

SAMPLE = 10
"""Each so-manieth scenario is played where not all are asked for."""


@dataclass(frozen=True)
class Request:
    """What is wanted."""

    task_type: str | None
    files: tuple[Path, ...]
    every: int | None
    """Each so-manieth scenario; None: no scenarios."""
    baseline: str | None
    update: bool
    """Store the figures as the baseline, and compare with nothing."""


@dataclass(frozen=True)
class Done:
    """What came of it."""

    report: Report
    kept: bool
    """In the stack's database."""
    updated: Path | None
    """The baseline's file, where it was written."""


def attack(settings: Settings, request: Request, tell: run.Tell) -> Done:
    """Run it. Raises InputError's kinds for what cannot be read, and StackError."""
    dsn = settings.database_url or _stack(settings)
    return asyncio.run(_attack(settings, request, dsn, tell))


def _stack(settings: Settings) -> str | None:
    try:
        return connect(settings).dsn
    except StackError:
        return None


async def _attack(settings: Settings, request: Request, dsn: str | None, tell: run.Tell) -> Done:
    kind = request.task_type or PILOT
    async with _reading(dsn) as connection:
        name = request.baseline or SHIPPED
        limits = Baseline() if request.update else await run.baseline_of(kind, name, connection)
    tell(f"texts through the gate of {kind}")
    judged = await run.texts(kind, settings.catalog, request.files)
    played = None
    if request.every is not None:
        with _server(settings) as server:
            played = await run.scenarios(server, every=request.every, tell=tell)
    report = run.report_of(kind, judged, played, name, limits)
    updated = None
    if request.update:
        save_baseline(kind, made_from(report.sources, load_baseline(kind)))
        updated = FILE
    async with _reading(dsn) as connection:
        if connection is not None:
            await run.store(connection, report)
    return Done(report, dsn is not None, updated)


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    """A Postgres of the run's own."""
    with tempfile.TemporaryDirectory(prefix="parley-redteam-") as folder:
        server = start_postgres(Path(folder), settings.pg_bin)
        try:
            yield server.cluster.dsn("postgres")
        finally:
            server.discard()


@asynccontextmanager
async def _reading(dsn: str | None) -> AsyncIterator[AsyncConnection | None]:
    if dsn is None:
        yield None
        return
    engine = async_engine(dsn, size=1)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()
