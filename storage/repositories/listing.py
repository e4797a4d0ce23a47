"""Tasks, what belongs to them, and their events, as they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.approval_tables import approval_answers
from storage.tables import (
    actions,
    approvals,
    audits,
    batches,
    decisions,
    events,
    outcomes,
    proposals,
    subtasks,
    tasks,
    telemetry,
    verdicts,
    workers,
)

Row = dict[str, Any]

_LISTED = (
    tasks.c.id,
    tasks.c.task_type,
    tasks.c.status,
    tasks.c.answer,
    tasks.c.escalated,
    tasks.c.lane,
    tasks.c.principal,
    tasks.c.batch_id,
    tasks.c.case_key,
    tasks.c.created_at,
    tasks.c.ended_at,
    tasks.c.reason,
)


@dataclass(frozen=True)
class Position:
    """The last row of a page."""

    created_at: datetime
    id: str


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks are wanted; None means any."""

    status: str | None = None
    task_type: str | None = None
    since: datetime | None = None
    batch_id: str | None = None
    to_audit: bool = False
    """Only those with an audit that waits for their outcome."""


async def list_tasks(
    connection: AsyncConnection, wanted: TaskFilter, after: Position | None, limit: int
) -> Sequence[Row]:
    """The newest first, starting behind `after`."""
    query = select(*_LISTED).order_by(tasks.c.created_at.desc(), tasks.c.id.desc()).limit(limit)
    for clause in _clauses(wanted):
        query = query.where(clause)
    if after is not None:
        # Spelled out, so that the two columns keep their own types; Postgres walks the same index.
        query = query.where(
            tasks.c.created_at <= after.created_at,
            or_(
                tasks.c.created_at < after.created_at,
                and_(tasks.c.created_at == after.created_at, tasks.c.id < after.id),
            ),
        )
    return await rows(connection, query)


def _clauses(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    if wanted.status is not None:
        clauses.append(tasks.c.status == wanted.status)
    if wanted.task_type is not None:
        clauses.append(tasks.c.task_type == wanted.task_type)
    if wanted.since is not None:
        clauses.append(tasks.c.created_at >= wanted.since)
    if wanted.batch_id is not None:
        clauses.append(tasks.c.batch_id == wanted.batch_id)
    if wanted.to_audit:
        waiting = select(audits.c.task_id).where(audits.c.task_id == tasks.c.id, audits.c.resolved_at.is_(None))
        clauses.append(waiting.exists())
    return clauses


async def task(connection: AsyncConnection, task_id: str) -> Row | None:
    """The task's whole row."""
    found = await rows(connection, select(tasks).where(tasks.c.id == task_id))
    return found[0] if found else None


async def parts(connection: AsyncConnection, task_id: str) -> dict[str, Sequence[Row]]:
    """Everything that hangs on a task, by table, each in its order of making."""
    ordered: tuple[tuple[Table, Sequence[Any]], ...] = (
        (subtasks, (subtasks.c.created_at, subtasks.c.subtask_id)),
        (decisions, (decisions.c.at, decisions.c.subtask_id)),
        (proposals, (proposals.c.subtask_id, proposals.c.round, proposals.c.persona)),
        (verdicts, (verdicts.c.at, verdicts.c.key)),
        (approvals, (approvals.c.created_at, approvals.c.id)),
        (approval_answers, (approval_answers.c.at, approval_answers.c.principal)),
        (actions, (actions.c.at, actions.c.subtask_id)),
        (audits, (audits.c.subtask_id,)),
        (outcomes, (outcomes.c.task_id,)),
    )
    return {
        table.name: await rows(connection, select(table).where(table.c.task_id == task_id).order_by(*order))
        for table, order in ordered
    }


async def explained(connection: AsyncConnection, task_id: str) -> Sequence[Row]:
    """The task's decisions, each with its body."""
    query = select(decisions).where(decisions.c.task_id == task_id).order_by(decisions.c.at, decisions.c.subtask_id)
    return await rows(connection, query)


async def costs(connection: AsyncConnection, task_id: str) -> Sequence[Row]:
    """What each proposal of the task cost."""
    order = (telemetry.c.subtask_id, telemetry.c.round, telemetry.c.persona)
    return await rows(connection, select(telemetry).where(telemetry.c.task_id == task_id).order_by(*order))


async def list_events(connection: AsyncConnection, task_id: str, after: int, limit: int) -> Sequence[Row]:
    """The task's events behind sequence number `after`."""
    query = select(events).where(events.c.task_id == task_id, events.c.seq > after).order_by(events.c.seq).limit(limit)
    return await rows(connection, query)


async def batch(connection: AsyncConnection, batch_id: str) -> Row | None:
    """The batch's row."""
    found = await rows(connection, select(batches).where(batches.c.id == batch_id))
    return found[0] if found else None


async def batches_of(connection: AsyncConnection, principal: str, source: str) -> Sequence[Row]:
    """The principal's batches from that source, oldest first, each with how many of its tasks have an outcome."""
    resolved = (
        select(func.count())
        .select_from(tasks.join(outcomes, outcomes.c.task_id == tasks.c.id))
        .where(tasks.c.batch_id == batches.c.id)
        .scalar_subquery()
    )
    query = (
        select(batches, resolved.label("resolved"))
        .where(batches.c.principal == principal, batches.c.source == source)
        .order_by(batches.c.created_at, batches.c.id)
    )
    return await rows(connection, query)


async def batch_tasks(connection: AsyncConnection, batch_ids: Sequence[str]) -> Sequence[Row]:
    """The tasks of these batches, oldest first."""
    query = select(*_LISTED).where(tasks.c.batch_id.in_(batch_ids)).order_by(tasks.c.created_at, tasks.c.id)
    return await rows(connection, query)


async def live_workers(connection: AsyncConnection, seconds: float) -> int:
    """How many workers gave a sign of life within so many seconds."""
    fresh = workers.c.heartbeat_at > func.now() - timedelta(seconds=seconds)
    query = select(func.count()).select_from(workers).where(workers.c.stopped_at.is_(None), fresh)
    return int(await connection.scalar(query) or 0)


async def rows(connection: AsyncConnection, query: Select[Any]) -> Sequence[Row]:
    """The query's rows as plain dicts."""
    return [dict(row) for row in (await connection.execute(query)).mappings()]
