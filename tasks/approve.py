"""Approve: ask people, and take what they answered."""

from typing import Any

from domain.approval import DONE, NOT_DONE, QUESTIONS, Approval, ApprovalStatus
from domain.asking import Voice
from domain.task import SubtaskStatus
from storage.repositories.approvals import find_approval, latest_approval, was_taken
from storage.repositories.negotiation import load_decision
from storage.repositories.tasks import set_subtask
from storage.repositories.verdicts import last_verdict
from storage.unit_of_work import UnitOfWork
from tasks.asking import Request, open_request
from tasks.bindings import asks_of, shown_to_person
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
        carried = await _denied(context, work, subtask_id, cause)
        shown = shown_to_person(context, spec, decision, cause, carried)
        asked = Request(subtask_id, cause, asks_of(context.task_type, carried), shown)
        approval_id = asked.id_in(task.id)
        if await was_taken(work.connection, task.id, subtask_id, asked.digest):
            # Asking again would get the same answer for ever.
            reason = f"{cause}: a person has approved exactly this, and policy still asks"
            await set_subtask(work.connection, task.id, subtask_id, SubtaskStatus.DENIED, reason=reason)
            await work.event(f"approve:{approval_id}:again", "approve.denied", {"cause": cause}, subtask_id)
            return {"approval": approval_id}
        told = await open_request(context, work, asked)
        await set_subtask(work.connection, task.id, subtask_id, SubtaskStatus.PARKED, reason=cause)
        await work.event(f"approve:{approval_id}", "approve.asked", told, subtask_id)
    return {"approval": approval_id}


async def _denied(context: StageContext, work: UnitOfWork, subtask_id: str, cause: str) -> dict[str, Any]:
    """What a request takes over from the denial that it may override, and from the answer before that: the option and
    the arguments that were denied. Empty for an ordinary request.
    """
    verdict = await last_verdict(work.connection, work.lease.task_id, subtask_id)
    if verdict is None or verdict.overridable_by is None or cause != ", ".join(verdict.policy_ids):
        return {}
    policies = list(context.gate.denying(verdict))
    denied = {"role": verdict.overridable_by, "policies": policies, "reasons": list(verdict.reasons)}
    before = await find_approval(work.connection, verdict.approval_id) if verdict.approval_id else None
    if before is None:
        return {"denied": denied}
    return {"denied": denied, "chosen": {"option": before.option, "arguments": before.arguments}}


async def collect_answer(context: StageContext, subtask_id: str) -> dict[str, Any]:
    """Take what people decided. Returns {answer: approved | refused | expired | default | open | done | not_done}."""
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
        status, reason = SubtaskStatus.DENIED, _refusal(approval)
    await set_subtask(work.connection, context.task.id, subtask_id, status, reason=reason)
    data = {"approval": approval.id, "status": approval.status.value, "by": approval.answered_by}
    await work.event(f"approve:{approval.id}:taken", f"approve.{approval.status.value}", data, subtask_id)


def _refusal(approval: Approval) -> str:
    asks = approval.asks
    if approval.voice == Voice.APPROVED:
        return f"no {asks.quorum} of {asks.of} people agree"
    said = f"refused by {approval.answered_by}: {approval.reason}"
    return said if asks.of == 1 else f"{said} ({asks.quorum} of {asks.of} were asked to approve)"
