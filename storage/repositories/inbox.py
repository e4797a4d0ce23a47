"""Approvals: what is open, and the one statement that answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.audit import write_event
from storage.repositories.listing import Row, rows
from storage.tables import approvals, tasks


@dataclass(frozen=True)
class Answer:
    """A person's answer to one approval."""

    approval_id: str
    digest: str
    """Of exactly what the person was shown."""
    status: str
    """approved or refused."""
    option: str | None
    principal: str
    reason: str


async def open_approvals(connection: AsyncConnection) -> Sequence[Row]:
    """Those that can still be answered, the most urgent first."""
    query = (
        select(approvals)
        .join(tasks, tasks.c.id == approvals.c.task_id)
        # A task that ended meanwhile (cancelled, expired, denied elsewhere) waits for nobody.
        .where(approvals.c.status == "open", approvals.c.expires_at > func.now(), tasks.c.ended_at.is_(None))
        .order_by(approvals.c.expires_at, approvals.c.id)
    )
    return await rows(connection, query)


async def causes(connection: AsyncConnection, batch_ids: Sequence[str]) -> dict[str, int]:
    """Cause -> tasks of these batches that a person was asked about for it; the most frequent first."""
    number = func.count(approvals.c.task_id.distinct())
    query = (
        select(approvals.c.cause, number)
        .join(tasks, tasks.c.id == approvals.c.task_id)
        .where(tasks.c.batch_id.in_(batch_ids))
        .group_by(approvals.c.cause)
        .order_by(number.desc(), approvals.c.cause)
    )
    return {cause: count for cause, count in await connection.execute(query)}


async def approval(connection: AsyncConnection, approval_id: str) -> Row | None:
    """The approval, and as `late` whether its time is over."""
    late = (approvals.c.expires_at <= func.clock_timestamp()).label("late")
    found = await rows(connection, select(approvals, late).where(approvals.c.id == approval_id))
    return found[0] if found else None


async def approvals_of(connection: AsyncConnection, task_id: str) -> Sequence[Row]:
    """The task's approvals, newest first."""
    query = (
        select(approvals).where(approvals.c.task_id == task_id).order_by(approvals.c.created_at.desc(), approvals.c.id)
    )
    return await rows(connection, query)


async def lock_task(connection: AsyncConnection, task_id: str) -> Row:
    """The task's id, status, fence and cancel flag, locked: runs lock the task before its approvals, and so do we."""
    columns = (tasks.c.id, tasks.c.status, tasks.c.fence, tasks.c.cancel_requested)
    query = select(*columns).where(tasks.c.id == task_id).with_for_update()
    return (await rows(connection, query))[0]


async def answer(connection: AsyncConnection, given: Answer) -> bool:
    """Answer if it is open, in time, somebody else's and unchanged. Exactly one of many callers gets True."""
    statement = (
        update(approvals)
        .where(
            approvals.c.id == given.approval_id,
            approvals.c.status == "open",
            # Not now(): the transaction may have waited for the task's lock.
            approvals.c.expires_at > func.clock_timestamp(),
            approvals.c.submitter != given.principal,
            approvals.c.digest == given.digest,
        )
        .values(
            status=given.status,
            option=given.option,
            answered_by=given.principal,
            reason=given.reason,
            answered_at=func.clock_timestamp(),
        )
        .returning(approvals.c.id)
    )
    return (await connection.execute(statement)).first() is not None


async def wake(connection: AsyncConnection, task: Row, subtask_id: str, given: Answer) -> None:
    """Make the task due, put the answer among its events, and call a worker."""
    # A paused task stays where it is; resuming makes it due.
    due = tasks.c.due | ~tasks.c.pause_requested
    await connection.execute(update(tasks).where(tasks.c.id == task["id"]).values(due=due))
    told = {
        "approval": given.approval_id,
        "status": given.status,
        "option": given.option,
        "by": given.principal,
        "digest": given.digest,
    }
    row = {
        "id": given.approval_id,
        "status": given.status,
        "option": given.option,
        "answered_by": given.principal,
        "reason": given.reason,
    }
    await write_event(
        connection,
        task["id"],
        f"approval:{given.approval_id}:answered",
        "approve.answered",
        told,
        fence=task["fence"],
        actor=given.principal,
        subtask_id=subtask_id,
        rows=[("answers", row)],
    )
    await connection.execute(text("NOTIFY parley_tasks"))
