"""Ground truth: what turned out to be right, and the memories that become known by it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.audit import Chain, write_events
from storage.repositories.listing import Row, rows
from storage.tables import outcomes, tasks

# A label that is recorded again unchanged leaves the memory, and since when it is known, as they were.
_MAKE_KNOWN = text(
    """
    UPDATE memories
       SET known_at = now(),
           data = data || jsonb_build_object(
               'outcome', CAST(:label AS text),
               -- What was undone was neither right nor wrong.
               'right', CASE WHEN NOT data ? 'undone' THEN
                 COALESCE(data->>'action', '') = CAST(:right_action AS text) END)
     WHERE task_id = :task_id AND kind = 'episodic'
       AND (known_at IS NULL OR data->>'outcome' IS DISTINCT FROM CAST(:label AS text))
    """
).bindparams(bindparam("label"), bindparam("right_action"), bindparam("task_id"))

_TOLD = ("label", "right_action", "recorded_by")
_STANDING = text(
    "SELECT t.id, t.fence, o.label, o.right_action, o.recorded_by, "
    "(SELECT count(*) + 1 FROM events e WHERE e.task_id = t.id AND e.event = 'outcome.recorded') AS number "
    "FROM tasks t LEFT JOIN outcomes o ON o.task_id = t.id WHERE t.id = ANY(:task_ids)"
)


async def task_type_of(connection: AsyncConnection, task_id: str) -> str | None:
    """The name of the task's type; None when there is no such task."""
    found = (await connection.execute(select(tasks.c.task_type).where(tasks.c.id == task_id))).first()
    return None if found is None else str(found[0])


async def tasks_by_case(
    connection: AsyncConnection, task_types: Sequence[str], keys: Sequence[str], batch_ids: Sequence[str] | None = None
) -> Sequence[Row]:
    """Tasks (id, task_type, case_key) made from these cases, in all batches or in the given ones."""
    query = (
        select(tasks.c.id, tasks.c.task_type, tasks.c.case_key)
        .where(tasks.c.task_type.in_(task_types), tasks.c.case_key.in_(keys))
        .order_by(tasks.c.created_at, tasks.c.id)
    )
    if batch_ids is not None:
        query = query.where(tasks.c.batch_id.in_(batch_ids))
    return await rows(connection, query)


async def record(connection: AsyncConnection, found: Sequence[Mapping[str, str]]) -> None:
    """Write outcomes (task_id, label, right_action, recorded_by), and make their episodes known."""
    if not found:
        return
    statement = insert(outcomes)
    changed = statement.on_conflict_do_update(
        index_elements=[outcomes.c.task_id],
        set_={
            "label": statement.excluded.label,
            "right_action": statement.excluded.right_action,
            "recorded_by": statement.excluded.recorded_by,
            "recorded_at": func.now(),
        },
    )
    # In one order everywhere, so that two who record at once wait for one another and do not block each other.
    found = sorted(found, key=lambda row: row["task_id"])
    standing = await _standing(connection, [row["task_id"] for row in found])
    await connection.execute(changed, found)
    known = [{name: row[name] for name in ("task_id", "label", "right_action")} for row in found]
    await connection.execute(_MAKE_KNOWN, known)
    await write_events(connection, [_told(row, standing[row["task_id"]]) for row in _last(found, standing)])


async def _standing(connection: AsyncConnection, task_ids: Sequence[str]) -> dict[str, Row]:
    found = await connection.execute(_STANDING, {"task_ids": list(task_ids)})
    return {row["id"]: dict(row) for row in found.mappings()}


def _last(found: Sequence[Mapping[str, str]], standing: Mapping[str, Row]) -> list[Mapping[str, str]]:
    """The rows that change something, one a task."""
    by_task = {row["task_id"]: row for row in found}
    return [row for row in by_task.values() if any(standing[row["task_id"]][name] != row[name] for name in _TOLD)]


def _told(row: Mapping[str, str], standing: Row) -> tuple[Chain, str, str, dict[str, Any]]:
    chain = Chain(row["task_id"], standing["fence"], row["recorded_by"])
    chain.state("outcomes", row)
    return chain, f"outcome:{standing['number']}", "outcome.recorded", {name: row[name] for name in _TOLD}
