"""Ground truth: what turned out to be right, and the memories that become known by it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.canonical import canonical_json
from storage.audit import Chain, write_events
from storage.repositories.listing import Row, rows
from storage.tables import outcomes, tasks

# A label that is recorded again unchanged leaves the memory, and since when it is known, as they were.
_MAKE_KNOWN = text(
    """
    UPDATE memories m
       SET known_at = now(),
           data = m.data || jsonb_build_object(
               'outcome', k.label,
               -- What was undone was neither right nor wrong.
               'right', CASE WHEN NOT m.data ? 'undone' THEN
                 COALESCE(m.data->>'action', '') = k.right_action END)
      FROM jsonb_to_recordset(CAST(:known AS jsonb)) AS k(task_id text, label text, right_action text)
     WHERE m.task_id = k.task_id AND m.kind = 'episodic'
       AND (m.known_at IS NULL OR m.data->>'outcome' IS DISTINCT FROM k.label)
    RETURNING m.task_id, m.id, m.data
    """
)

_INSERTED = insert(outcomes)
# Of what is recorded again unchanged the time stays, too.
_CHANGED = _INSERTED.on_conflict_do_update(
    index_elements=[outcomes.c.task_id],
    set_={
        "label": _INSERTED.excluded.label,
        "right_action": _INSERTED.excluded.right_action,
        "recorded_by": _INSERTED.excluded.recorded_by,
        "recorded_at": func.now(),
    },
    where=or_(
        outcomes.c.label != _INSERTED.excluded.label,
        outcomes.c.right_action != _INSERTED.excluded.right_action,
        outcomes.c.recorded_by != _INSERTED.excluded.recorded_by,
    ),
)
_TOLD = ("label", "right_action", "recorded_by")
_LOCK = text("SELECT FROM tasks WHERE id = ANY(:task_ids) ORDER BY id FOR NO KEY UPDATE")
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
    # In one order everywhere, so that two who record at once wait for one another and do not block each other.
    last = sorted({row["task_id"]: row for row in found}.values(), key=lambda row: row["task_id"])
    task_ids = [row["task_id"] for row in last]
    # A statement of its own: who waited for another's outcome then sees it.
    await connection.execute(_LOCK, {"task_ids": task_ids})
    standing = await _standing(connection, task_ids)
    await connection.execute(_CHANGED, last)
    known = canonical_json([{name: row[name] for name in ("task_id", "label", "right_action")} for row in last])
    learned: dict[str, list[Row]] = defaultdict(list)
    for memory in (await connection.execute(_MAKE_KNOWN, {"known": known})).mappings():
        learned[memory["task_id"]].append(dict(memory))
    changed = [row for row in last if any(standing[row["task_id"]][name] != row[name] for name in _TOLD)]
    await write_events(connection, [_told(row, standing[row["task_id"]], learned[row["task_id"]]) for row in changed])


async def _standing(connection: AsyncConnection, task_ids: Sequence[str]) -> dict[str, Row]:
    found = await connection.execute(_STANDING, {"task_ids": list(task_ids)})
    return {row["id"]: dict(row) for row in found.mappings()}


def _told(row: Mapping[str, str], standing: Row, learned: Sequence[Row]) -> tuple[Chain, str, str, dict[str, Any]]:
    chain = Chain(row["task_id"], standing["fence"], row["recorded_by"])
    chain.state("outcomes", row)
    for memory in learned:
        chain.state("learned", memory)
    return chain, f"outcome:{standing['number']}", "outcome.recorded", {name: row[name] for name in _TOLD}
