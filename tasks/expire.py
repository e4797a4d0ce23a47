"""Expire: what comes of a question that nobody answered in time, as the task type says."""

import uuid

from sqlalchemy import text

from domain.approval import DEFAULT, Approval, ApprovalStatus
from domain.canonical import digest
from domain.task import SubtaskStatus
from storage.repositories.approvals import take_default
from storage.repositories.tasks import set_subtask
from storage.tables import approvals
from storage.unit_of_work import UnitOfWork
from tasks.bindings import ESCALATED
from tasks.context import StageContext

UNANSWERED = "no answer came before the approval's deadline"


async def expire(context: StageContext, work: UnitOfWork, approval: Approval) -> str:
    """Refuse, ask the second role, or take the safe action. Returns the answer that this amounts to."""
    sla = context.task_type.sla
    if sla.on_expiry == "escalate" and sla.escalate_to is not None and ESCALATED not in approval.shown:
        await _escalate(context, work, approval, sla.escalate_to)
        return ApprovalStatus.OPEN.value
    safe = context.task_type.subtask(approval.subtask_id).strategy.safe_default
    if sla.on_expiry == "default" and safe is not None:
        await _default(context, work, approval, safe)
        return DEFAULT
    reason = UNANSWERED if ESCALATED not in approval.shown else f"{UNANSWERED}, nor from {approval.role}"
    await set_subtask(work.connection, context.task.id, approval.subtask_id, SubtaskStatus.DENIED, reason=reason)
    data = {"approval": approval.id, "status": approval.status.value, "by": None}
    await work.event(f"approve:{approval.id}:taken", "approve.expired", data, approval.subtask_id)
    return approval.status.value


async def _escalate(context: StageContext, work: UnitOfWork, approval: Approval, role: str) -> None:
    """Put the same question to the second role, once; the subtask stays parked."""
    task = context.task
    shown = {**approval.shown, ESCALATED: approval.id}
    bound = digest(shown)
    asked = str(uuid.uuid5(uuid.UUID(task.id), f"{approval.subtask_id}:{bound}"))
    wait = context.task_type.sla.approval_deadline
    row = {
        "id": asked,
        "task_id": task.id,
        "subtask_id": approval.subtask_id,
        "cause": approval.cause,
        "shown": shown,
        "digest": bound,
        "role": role,
        "submitter": task.principal,
        "status": ApprovalStatus.OPEN.value,
        "expires_at": await work.connection.scalar(text("SELECT now() + :wait"), {"wait": wait}),
    }
    await work.add(approvals, row)
    data = {"approval": approval.id, "asked": asked, "of": approval.role, "to": role, "digest": bound}
    await work.event(f"approve:{approval.id}:taken", "approve.escalated", data, approval.subtask_id)


async def _default(context: StageContext, work: UnitOfWork, approval: Approval, safe: str) -> None:
    """Take the safe action in the answer's place; the guard looks at it as at any other."""
    await take_default(work.connection, approval.id, safe)
    await set_subtask(work.connection, context.task.id, approval.subtask_id, SubtaskStatus.RUNNING)
    answer = {"id": approval.id, "status": approval.status.value, "option": safe, "answered_by": None, "reason": None}
    work.state("answers", answer)
    data = {"approval": approval.id, "option": safe, "of": approval.role}
    await work.event(f"approve:{approval.id}:taken", "approve.defaulted", data, approval.subtask_id)
