"""A database of the red team's own, so that nothing it does is among the real tasks."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg import sql

from domain.errors import StackError
from storage.migrations.run import upgrade
from storage.sessions import plain_url


@asynccontextmanager
async def scratch_database(server: str) -> AsyncIterator[str]:
    """The URL of a migrated database on the server of that URL; it is gone afterwards. Raises StackError."""
    name = f"parley_redteam_{uuid.uuid4().hex[:12]}"
    base = plain_url(server)
    await asyncio.to_thread(_run, base, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        url = _beside(base, name)
        await asyncio.to_thread(upgrade, url)
        yield url
    finally:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        await asyncio.to_thread(_run, base, drop)


def _run(url: str, statement: sql.Composed) -> None:
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StackError(
            "the red team needs a database of its own: grant CREATEDB, or run it without a stack"
        ) from error
    except psycopg.OperationalError as error:
        raise StackError(f"Postgres: {error}: see `parley status`") from error


def _beside(url: str, name: str) -> str:
    address, _, options = url.partition("?")
    return f"{address.rsplit('/', 1)[0]}/{name}{f'?{options}' if options else ''}"
