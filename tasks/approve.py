"""Approve: ask a person, and take the answer that came."""

import uuid
from typing import Any

from sqlalchemy import text

from domain.approval import DONE, NOT_DONE, QUESTIONS, Approval, ApprovalStatus
from domain.canonical import digest
from domain.task import SubtaskStatus
from storage.repositories.approvals import latest_approval, was_taken
from storage.repositories.negotiation import load_decision
from storage.repositories.tasks import set_subtask
from storage.tables import approvals
from storage.unit_of_work import UnitOfWork
from tasks.bindings import shown_to_person
from tasks.context import StageContext
from tasks.expire import expire
from tasks.policy import StagePolicy
from tasks.settle import settle

POLICY = StagePolicy("approve", timeout_seconds=30)
ANSWER_POLICY = StagePolicy("answer", timeout_seconds=30)


async def approve(context: StageContext, subtask_id: str, cause: str) -> dict[str, Any]:
    """Open a request, bound to what is shown; the subtask parks. Returns {approval: id}."""
    task = context.task
    spec = context.task_type.subtask(subtask_id)
    async with context.work() as work:
        decision = await load_decision(work.connection, task.id, subtask_id)
        shown = shown_to_person(context, spec, decision, cause)
        bound = digest(shown)
        approval_id = str(uuid.uuid5(uuid.UUID(task.id), f"{subtask_id}:{bound}"))
        if await was_taken(work.connection, task.id, subtask_id, bound):
            # Asking again would get the same answer for ever.
            reason = f"{cause}: a person has approved exactly this, and policy still asks"
            await set_subtask(work.connection, task.id, subtask_id, SubtaskStatus.DENIED, reason=reason)
            await work.event(f"approve:{approval_id}:again", "approve.denied", {"cause": cause}, subtask_id)
            return {"approval": approval_id}
        deadline = context.task_type.sla.approval_deadline
        row = {
            "id": approval_id,
            "task_id": task.id,
            "subtask_id": subtask_id,
            "cause": cause,
            "shown": shown,
            "digest": bound,
            "role": context.task_type.approver_role,
            "submitter": task.principal,
            "status": ApprovalStatus.OPEN.value,
            "expires_at": await work.connection.scalar(text("SELECT now() + :wait"), {"wait": deadline}),
        }
        await work.add(approvals, row)
        await work.connection.execute(text("UPDATE tasks SET escalated = true WHERE id = :id"), {"id": task.id})
        await set_subtask(work.connection, task.id, subtask_id, SubtaskStatus.PARKED, reason=cause)
        data = {"approval": approval_id, "cause": cause, "digest": bound}
        await work.event(f"approve:{approval_id}", "approve.asked", data, subtask_id)
    return {"approval": approval_id}


async def collect_answer(context: StageContext, subtask_id: str) -> dict[str, Any]:
    """Take the person's answer. Returns {answer: approved | refused | expired | default | open | done | not_done}."""
    async with context.work() as work:
        approval = await latest_approval(work.connection, context.task.id, subtask_id)
        if approval is None or approval.status is ApprovalStatus.OPEN:
            return {"answer": ApprovalStatus.OPEN.value}
        if approval.cause in QUESTIONS:
            return {"answer": DONE if await settle(context, work, approval) else NOT_DONE}
        if approval.status is ApprovalStatus.EXPIRED:
            return {"answer": await expire(context, work, approval)}
        await _close(context, work, subtask_id, approval)
    return {"answer": approval.status.value}


async def _close(context: StageContext, work: UnitOfWork, subtask_id: str, approval: Approval) -> None:
    status, reason = SubtaskStatus.RUNNING, None
    if approval.status is ApprovalStatus.REFUSED:
        status, reason = SubtaskStatus.DENIED, f"refused by {approval.answered_by}: {approval.reason}"
    await set_subtask(work.connection, context.task.id, subtask_id, status, reason=reason)
    data = {"approval": approval.id, "status": approval.status.value, "by": approval.answered_by}
    await work.event(f"approve:{approval.id}:taken", f"approve.{approval.status.value}", data, subtask_id)
