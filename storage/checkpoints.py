"""LangGraph's checkpoints in Postgres, on a pool that checks its connections."""

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]


async def open_pool(dsn: str, *, size: int = 12) -> Pool:
    """A checked pool, so that a restarted Postgres does not leave dead connections behind."""
    pool: Pool = AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        open=False,
        check=AsyncConnectionPool.check_connection,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
    )
    await pool.open(wait=True)
    return pool


def saver(pool: Pool) -> AsyncPostgresSaver:
    """A saver of its own: one saver locks inside, several on one pool do not wait for one another."""
    return AsyncPostgresSaver(pool)
