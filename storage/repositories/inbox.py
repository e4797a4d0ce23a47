"""Approvals: what is open, and the statements that answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.asking import Given, Voice
from domain.canonical import canonical_json
from storage.approval_tables import approval_answers, notices
from storage.audit import write_event
from storage.repositories.listing import Row, rows
from storage.tables import approvals, tasks


@dataclass(frozen=True)
class Answer:
    """A person's answer to one approval."""

    approval_id: str
    digest: str
    """Of exactly what the person was shown."""
    voice: Voice
    option: str | None
    arguments: dict[str, Any] | None
    choice: str
    """Digest of what is consented to."""
    principal: str
    role: str
    """In which they answer."""
    step: int
    """Of the chain at which that role is asked."""
    strict: bool
    """Whether the role has to be held also where nobody holds it."""
    reason: str


# Not now(): the transaction may have waited for the task's lock.
_GIVE = text(
    "INSERT INTO approval_answers "
    "(approval_id, principal, task_id, submitter, role, grant_id, answer, option, arguments, choice, reason, at) "
    "SELECT a.id, :principal, a.task_id, a.submitter, :role, g.id, :voice, CAST(:option AS text), "
    "CAST(:arguments AS jsonb), :choice, :reason, clock_timestamp() FROM approvals a LEFT JOIN role_grants g "
    "ON g.principal = :principal AND g.role = :role AND g.revoked_at IS NULL "
    "WHERE a.id = :id AND a.status = 'open' AND a.step = :step AND a.expires_at > clock_timestamp() "
    "AND a.submitter <> :principal AND a.digest = :digest AND (g.id IS NOT NULL OR (NOT CAST(:strict AS boolean) "
    "AND NOT EXISTS (SELECT FROM role_grants h WHERE h.role = :role AND h.revoked_at IS NULL))) "
    "ON CONFLICT (approval_id, principal) DO NOTHING RETURNING *"
)
_DECIDE = text(
    "UPDATE approvals SET status = :status, option = :option, answered_by = :principal, reason = :reason, "
    "answered_at = clock_timestamp() WHERE id = :id AND status = 'open' RETURNING id"
)


async def open_approvals(connection: AsyncConnection) -> Sequence[Row]:
    """Those that can still be answered, the most urgent first; `dry_run`: whether the task acts on nothing."""
    query = (
        select(approvals, tasks.c.dry_run)
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


async def answers_to(connection: AsyncConnection, approval_ids: Sequence[str]) -> Sequence[Row]:
    """What people answered so far, in their order."""
    query = select(approval_answers).where(approval_answers.c.approval_id.in_(approval_ids))
    return await rows(connection, query.order_by(approval_answers.c.at, approval_answers.c.principal))


async def notices_of(connection: AsyncConnection, approval_ids: Sequence[str]) -> Sequence[Row]:
    """What was, or is to be, sent out about them."""
    query = select(notices).where(notices.c.approval_id.in_(approval_ids))
    return await rows(connection, query.order_by(notices.c.at, notices.c.key))


async def lock_task(connection: AsyncConnection, task_id: str) -> Row:
    """The task's row, locked: runs lock the task before its approvals, and so do we."""
    columns = (tasks.c.id, tasks.c.task_type, tasks.c.status, tasks.c.fence, tasks.c.cancel_requested)
    query = select(*columns).where(tasks.c.id == task_id).with_for_update()
    return (await rows(connection, query))[0]


async def give(connection: AsyncConnection, given: Answer) -> Row | None:
    """Write the answer if the request is open, in time, somebody else's and unchanged, this person has the role that is
    asked and has not answered it before; None where not.
    """
    values = {
        "id": given.approval_id,
        "principal": given.principal,
        "role": given.role,
        "voice": given.voice.value,
        "option": given.option,
        "arguments": None if given.arguments is None else canonical_json(given.arguments),
        "choice": given.choice,
        "reason": given.reason,
        "step": given.step,
        "digest": given.digest,
        "strict": given.strict,
    }
    row = (await connection.execute(_GIVE, values)).mappings().one_or_none()
    return None if row is None else dict(row)


def as_given(row: Mapping[str, Any]) -> Given:
    """The row as it counts."""
    return Given(row["principal"], row["answer"], row["option"], row["arguments"])


async def close(connection: AsyncConnection, given: Answer, status: str) -> bool:
    """Decide it with this answer. Exactly one of many callers gets True."""
    values = {
        "id": given.approval_id,
        "status": status,
        "option": given.option if status == "approved" else None,
        "principal": given.principal,
        "reason": given.reason,
    }
    return (await connection.execute(_DECIDE, values)).first() is not None


async def wake(connection: AsyncConnection, task_id: str) -> None:
    """Make the task due, and call a worker."""
    # A paused task stays where it is; resuming makes it due.
    due = tasks.c.due | ~tasks.c.pause_requested
    await connection.execute(tasks.update().where(tasks.c.id == task_id).values(due=due))
    await connection.execute(text("NOTIFY parley_tasks"))


async def tell_answer(
    connection: AsyncConnection,
    task: Row,
    subtask_id: str,
    row: Mapping[str, Any],
    data: dict[str, Any],
    decided: Mapping[str, Any] | None,
) -> None:
    """Put the answer among the task's events, where the audit chain speaks for it, and for what it `decided`."""
    spoken: list[tuple[str, Mapping[str, Any]]] = [("given", row), ("heard", row)]
    key, event = f"approval:{row['approval_id']}:by:{row['principal']}", "approve.counted"
    if decided is not None:
        spoken += [("answers", decided), ("decided", decided)]
        key = f"approval:{row['approval_id']}:answered"
        event = "approve.overridden" if row["answer"] == Voice.OVERRIDDEN else "approve.answered"
    by: Any = {"fence": task["fence"], "actor": row["principal"], "subtask_id": subtask_id}
    await write_event(connection, task["id"], key, event, data, rows=spoken, **by)
