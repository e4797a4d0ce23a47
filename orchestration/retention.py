"""Retention: checkpoints of tasks that ended long ago are removed; their records and their audit stay."""

import re
from collections.abc import Sequence
from datetime import timedelta

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.errors import InputError
from domain.model import Frozen

DEFAULT_AGE = "30d"
CHUNK = 200
"""Tasks whose threads are removed in one transaction."""

_AGE = re.compile(r"^(\d{1,5})([mhdw])$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

# A finished task's run is over, whoever still thinks otherwise: no checkpoint of it is written any more.
_FINISHED = text(
    "SELECT t.id, ARRAY(SELECT t.id || '/' || s.subtask_id FROM subtasks s WHERE s.task_id = t.id) AS subtasks "
    "FROM tasks t WHERE t.ended_at < now() - CAST(:age AS interval) AND EXISTS (SELECT FROM checkpoints c "
    "WHERE c.thread_id = t.id OR c.thread_id IN (SELECT t.id || '/' || s.subtask_id FROM subtasks s "
    "WHERE s.task_id = t.id)) ORDER BY t.ended_at LIMIT :limit"
)
_SIZES = text(
    "SELECT count(*) AS rows, COALESCE(sum(bytes), 0) AS bytes FROM ("
    "SELECT pg_column_size(c.*) AS bytes FROM checkpoints c WHERE thread_id = ANY(:threads) UNION ALL "
    "SELECT pg_column_size(b.*) FROM checkpoint_blobs b WHERE thread_id = ANY(:threads) UNION ALL "
    "SELECT pg_column_size(w.*) FROM checkpoint_writes w WHERE thread_id = ANY(:threads)) held"
)


class Pruned(Frozen):
    """What was removed."""

    tasks: int
    rows: int
    bytes: int
    """As the rows were stored, without indexes; Postgres uses the room again after its next vacuum."""


def age_of(given: str) -> timedelta:
    """The age of `30d`, `12h`, `90m` or `4w`. Raises InputError."""
    found = _AGE.fullmatch(given)
    if found is None:
        raise InputError(f"older than {given}: give an age, such as 30d, 12h or 4w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


async def drop_threads(connection: AsyncConnection, task_ids: Sequence[str]) -> int:
    """Remove every checkpoint of these tasks within the connection's transaction; how many rows that were."""
    statement = text("SELECT task_id || '/' || subtask_id FROM subtasks WHERE task_id = ANY(:ids)")
    below = (await connection.execute(statement, {"ids": list(task_ids)})).scalars()
    threads = [*task_ids, *below]
    measured = (await connection.execute(_SIZES, {"threads": threads})).one()
    held = (await connection.get_raw_connection()).driver_connection
    await AsyncPostgresSaver(held).aprune(threads, strategy="delete")  # type: ignore[arg-type]
    return int(measured.rows)


async def prune(engine: AsyncEngine, older_than: timedelta) -> Pruned:
    """Remove both threads' checkpoints of tasks that ended before that, by the database's clock."""
    tasks = rows = size = 0
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        held = (await connection.get_raw_connection()).driver_connection
        saver = AsyncPostgresSaver(held)  # type: ignore[arg-type]
        while True:
            found = (await connection.execute(_FINISHED, {"age": older_than, "limit": CHUNK})).all()
            if not found:
                return Pruned(tasks=tasks, rows=rows, bytes=size)
            threads = [thread for row in found for thread in (row.id, *row.subtasks)]
            measured = (await connection.execute(_SIZES, {"threads": threads})).one()
            await saver.aprune(threads, strategy="delete")
            tasks, rows, size = tasks + len(found), rows + int(measured.rows), size + int(measured.bytes)
