"""LangGraph's checkpoints in Postgres, on a pool that checks its connections."""

import time
from typing import Any
from weakref import WeakKeyDictionary

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]

FRESH_SECONDS = 1.0
"""A connection that was found alive so lately is not asked again: a run borrows one some twenty times."""

_alive: WeakKeyDictionary[AsyncConnection[Any], float] = WeakKeyDictionary()


async def check(connection: AsyncConnection[Any]) -> None:
    """Ask whether the connection is alive; one that dies within the second fails its run, which is taken up again."""
    now = time.monotonic()
    if now - _alive.get(connection, float("-inf")) < FRESH_SECONDS:
        return
    await AsyncConnectionPool.check_connection(connection)
    _alive[connection] = now


async def open_pool(dsn: str, *, size: int = 12) -> Pool:
    """A checked pool, so that a restarted Postgres does not leave dead connections behind."""
    pool: Pool = AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        open=False,
        check=check,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
    )
    await pool.open(wait=True)
    return pool


def saver(pool: Pool) -> AsyncPostgresSaver:
    """A saver of its own: one saver locks inside, several on one pool do not wait for one another."""
    return AsyncPostgresSaver(pool)
