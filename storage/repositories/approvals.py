"""Approvals as a run asks for them and takes their answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, func, select, text
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import QUESTIONS, Approval
from storage.approval_tables import approval_answers
from storage.tables import approvals

_DECIDING = {"voice": "answer", "arguments": "arguments", "choice": "choice"}
"""What an approval has of the answer that decided it."""
_COLUMNS = [
    *(approvals.c[name] for name in Approval.model_fields if name not in _DECIDING),
    *(approval_answers.c[column].label(name) for name, column in _DECIDING.items()),
]
_DECIDED_BY = and_(
    approval_answers.c.approval_id == approvals.c.id, approval_answers.c.principal == approvals.c.answered_by
)
_EXPIRE = text(
    "UPDATE approvals SET status = 'expired' "
    "WHERE task_id = :task AND subtask_id = :subtask AND status = 'open' AND expires_at <= now()"
)


async def read_approval(connection: AsyncConnection, task_id: str, subtask_id: str) -> Approval | None:
    """The newest approval of the subtask as it stands."""
    row = await _newest(connection, task_id, subtask_id)
    return Approval.model_validate({name: row[name] for name in Approval.model_fields}) if row else None


async def latest_approval(connection: AsyncConnection, task_id: str, subtask_id: str) -> Approval | None:
    """The newest approval of the subtask; one past its deadline (database time) is expired first."""
    row = await _newest(connection, task_id, subtask_id)
    if row is not None and row["overdue"]:
        await connection.execute(_EXPIRE, {"task": task_id, "subtask": subtask_id})
        row = await _newest(connection, task_id, subtask_id)
    return Approval.model_validate({name: row[name] for name in Approval.model_fields}) if row else None


async def _newest(connection: AsyncConnection, task_id: str, subtask_id: str) -> RowMapping | None:
    overdue = and_(approvals.c.status == "open", approvals.c.expires_at <= func.now()).label("overdue")
    statement = (
        select(*_COLUMNS, overdue)
        .outerjoin(approval_answers, _DECIDED_BY)
        .where(approvals.c.task_id == task_id, approvals.c.subtask_id == subtask_id)
        .order_by(approvals.c.created_at.desc(), approvals.c.id.desc())
        .limit(1)
    )
    return (await connection.execute(statement)).mappings().one_or_none()


async def find_approval(connection: AsyncConnection, approval_id: str) -> Approval | None:
    """The approval of that id."""
    statement = select(*_COLUMNS).outerjoin(approval_answers, _DECIDED_BY).where(approvals.c.id == approval_id)
    row = (await connection.execute(statement)).mappings().one_or_none()
    return Approval.model_validate(dict(row)) if row else None


def approval_of(row: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> Approval:
    """The approval of a row, with what decided it from among its task's answers."""
    by = (row["id"], row["answered_by"])
    decided = next((one for one in answers if (one["approval_id"], one["principal"]) == by), None)
    taken = {name: decided[column] if decided else None for name, column in _DECIDING.items()}
    return Approval.model_validate({name: {**row, **taken}[name] for name in Approval.model_fields})


async def consume_approval(connection: AsyncConnection, approval_id: str) -> bool:
    """Use the answer; False where it was used before."""
    result = await connection.execute(
        text("UPDATE approvals SET consumed = true WHERE id = :id AND NOT consumed RETURNING id"), {"id": approval_id}
    )
    return result.one_or_none() is not None


async def take_default(connection: AsyncConnection, approval_id: str, option: str) -> None:
    """Keep with an approval that nobody answered which option is taken instead."""
    statement = text("UPDATE approvals SET option = :option WHERE id = :id AND status = 'expired' AND option IS NULL")
    await connection.execute(statement, {"id": approval_id, "option": option})


async def was_taken(connection: AsyncConnection, task_id: str, subtask_id: str, digest: str) -> bool:
    """Whether an answer to exactly this was given and taken: its subtask is no longer parked for it."""
    statement = text(
        "SELECT 1 FROM approvals a JOIN subtasks s USING (task_id, subtask_id) WHERE a.task_id = :task "
        "AND a.subtask_id = :subtask AND a.digest = :digest AND a.status = 'approved' AND s.status <> 'parked'"
    )
    values = {"task": task_id, "subtask": subtask_id, "digest": digest}
    return (await connection.execute(statement, values)).first() is not None


async def wake_overdue(connection: AsyncConnection) -> int:
    """Make parked tasks due whose approval's deadline has passed; returns how many."""
    result = await connection.execute(
        text(
            "UPDATE tasks SET due = true WHERE status = 'parked' AND NOT due AND NOT pause_requested AND id IN "
            "(SELECT task_id FROM approvals WHERE status = 'open' AND expires_at <= now()) RETURNING id"
        )
    )
    return len(result.all())


async def close_approvals(connection: AsyncConnection, task_id: str, *, questions_too: bool = False) -> None:
    """Expire what is still open: its task goes no further. What may have happened has to be answered all the same,
    unless `questions_too`: nobody would take the answer.
    """
    statement = text(
        "UPDATE approvals SET status = 'expired' WHERE task_id = :task AND status = 'open' AND cause <> ALL(:questions)"
    )
    await connection.execute(statement, {"task": task_id, "questions": [] if questions_too else sorted(QUESTIONS)})


async def latest_question(connection: AsyncConnection, task_id: str, step: str) -> Approval | None:
    """What a person was last asked about what became of the step's action; None where nothing was asked."""
    found = await latest_approval(connection, task_id, step)
    return found if found is not None and found.cause in QUESTIONS else None
