"""Tasks with what their verdicts were given on, read in bulk to be judged once more."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Table, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.task import Task
from storage.approval_tables import approval_answers
from storage.repositories.listing import Row, rows
from storage.repositories.records import TaskRecords, judged_memories
from storage.tables import actions, approvals, decisions, memories, proposals, tasks, verdicts

PAGE = 200

_PARTS: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (decisions, ("at", "subtask_id")),
    (proposals, ("subtask_id", "round", "persona")),
    (verdicts, ("at", "key")),
    (approvals, ("created_at", "id")),
    (approval_answers, ("at", "principal")),
    (actions, ("at", "subtask_id")),
)
"""Table -> the order of a task's rows in it."""


@dataclass(frozen=True)
class JudgedFilter:
    """Which tasks are wanted: the newest of the type that anything was judged of."""

    task_type: str
    limit: int
    since: datetime | None = None


async def count_judged(connection: AsyncConnection, wanted: JudgedFilter) -> int:
    """How many there are, the limit at most."""
    found = _tasks(wanted).with_only_columns(tasks.c.id).limit(wanted.limit).subquery()
    return int(await connection.scalar(select(func.count()).select_from(found)) or 0)


async def judged_tasks(
    connection: AsyncConnection, wanted: JudgedFilter, page: int = PAGE
) -> AsyncIterator[list[TaskRecords]]:
    """The tasks with their rows, newest first, a page at a time. Snapshots and events are left out."""
    left, query = wanted.limit, _tasks(wanted)
    while left > 0:
        found = await rows(connection, query.limit(min(page, left)))
        if not found:
            return
        yield await _with_parts(connection, found)
        left -= len(found)
        last = found[-1]
        query = _tasks(wanted).where(
            tasks.c.created_at <= last["created_at"],
            or_(
                tasks.c.created_at < last["created_at"],
                and_(tasks.c.created_at == last["created_at"], tasks.c.id < last["id"]),
            ),
        )


def _tasks(wanted: JudgedFilter) -> Select[Any]:
    judged = select(verdicts.c.task_id).where(verdicts.c.task_id == tasks.c.id).exists()
    query = (
        select(*(tasks.c[name] for name in Task.model_fields if name != "created_at"), tasks.c.created_at)
        # A fork goes through its source's case once more.
        .where(tasks.c.task_type == wanted.task_type, tasks.c.forked_from.is_(None), judged)
        .order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
    )
    return query if wanted.since is None else query.where(tasks.c.created_at >= wanted.since)


async def _with_parts(connection: AsyncConnection, found: Sequence[Row]) -> list[TaskRecords]:
    ids = [row["id"] for row in found]
    held: dict[str, dict[str, list[Row]]] = {task_id: defaultdict(list) for task_id in ids}
    for table, order in _PARTS:
        query = select(table).where(table.c.task_id.in_(ids)).order_by(*(table.c[name] for name in order))
        for row in await rows(connection, query):
            held[row["task_id"]][table.name].append(row)
    named = {one for parts in held.values() for one in judged_memories(parts["verdicts"])}
    recalled = await rows(connection, select(memories).where(memories.c.id.in_(named))) if named else ()
    return [_records(row, held[row["id"]], {one["id"]: one for one in recalled}) for row in found]


def _records(row: Row, parts: dict[str, list[Row]], recalled: dict[str, Row]) -> TaskRecords:
    shown = judged_memories(parts["verdicts"])
    return TaskRecords(
        row=row,
        subtasks=(),
        decisions={one["subtask_id"]: one for one in parts["decisions"]},
        proposals=parts["proposals"],
        verdicts=parts["verdicts"],
        approvals=parts["approvals"],
        answers=parts["approval_answers"],
        actions={one["subtask_id"]: one for one in parts["actions"]},
        snapshots=(),
        events=(),
        memories={name: recalled[name] for name in sorted(shown) if name in recalled},
        outcome=None,
    )
