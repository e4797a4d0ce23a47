"""What a command works with: settings, the stack, an engine, the catalog."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from control_plane.cli.output import note

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from catalog.load import Catalog
    from deployments.state import StackState
    from domain.settings import Settings

T = TypeVar("T")
_POOL = 4
_LOCK_SECONDS = 60.0


def settings() -> "Settings":
    """The settings. Raises InputError that names the variable."""
    from pydantic import ValidationError

    from domain.errors import InputError
    from domain.settings import Settings

    try:
        return Settings()
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"environment: {where}: {first['msg']}: set PARLEY_{where.upper()} right") from None


def with_engine(work: "Callable[[AsyncEngine], Awaitable[T]]", dsn: str | None = None, *, brief: bool = False) -> T:
    """Run async work on the stack's database. Raises StackError when it goes away, or keeps us waiting for a lock.

    `brief`: it computes nothing between two statements; a command that stands still then holds nothing for long.
    """
    from sqlalchemy.exc import OperationalError, ProgrammingError

    from deployments.local import connect
    from domain.errors import StackError
    from storage.repositories.row_locks import waited_in_vain

    url = dsn or connect(settings()).dsn
    try:
        return asyncio.run(_engaged(url, work, brief=brief))
    except OperationalError as problem:
        if waited_in_vain(problem):
            raise StackError(
                f"Postgres: another transaction has held what this needs for {_LOCK_SECONDS:.0f} s, and nothing was "
                "changed: see pg_stat_activity for what is idle in transaction, end it, then try again"
            ) from problem
        raise StackError(f"Postgres: {problem.orig}: see `parley status`") from problem
    except ProgrammingError as problem:
        if "does not exist" in str(problem.orig):
            raise StackError(f"Postgres: {problem.orig}: run `parley up`, which brings the tables up to date") from None
        raise


async def _engaged(dsn: str, work: "Callable[[AsyncEngine], Awaitable[T]]", *, brief: bool) -> T:
    from storage.engine import async_engine
    from storage.sessions import IDLE_SECONDS, LONG_IDLE_SECONDS

    idle_seconds = IDLE_SECONDS if brief else LONG_IDLE_SECONDS
    engine = async_engine(dsn, size=_POOL, idle_seconds=idle_seconds, lock_seconds=_LOCK_SECONDS)
    try:
        return await work(engine)
    finally:
        await engine.dispose()


def enter_stack(*, quiet: bool, patient: bool = False) -> "StackState":
    """Point this process at the stack, before Prefect is imported: it reads its settings then.

    `patient`: wait for a Postgres that is away.
    """
    from deployments.local import connect, connect_when_up, environment

    state = connect_when_up(settings(), note) if patient else connect(settings())
    os.environ.update(environment(state))
    if quiet:
        # A batch's progress is ours to show; what goes wrong is still told.
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    return state


def catalog(given: "Settings") -> "Catalog":
    """The catalog that the settings name. Raises CatalogError."""
    from catalog.load import load_catalog
    from tasks.executors import EXECUTORS

    return load_catalog(given.catalog, EXECUTORS)


def principal(given: str | None) -> str:
    """Who acts."""
    return given or settings().principal
