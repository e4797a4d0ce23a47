"""Expire: what comes of a request that nobody decided in time, as the task type says."""

from domain.approval import DEFAULT, Approval
from domain.task import SubtaskStatus
from storage.repositories.approvals import take_default
from storage.repositories.tasks import set_subtask
from storage.unit_of_work import UnitOfWork
from tasks.asking import tell_expired
from tasks.context import StageContext

UNANSWERED = "no answer came before the approval's deadline"
TOO_FEW = "no {quorum} equal approvals came before the approval's deadline"


async def expire(context: StageContext, work: UnitOfWork, approval: Approval) -> str:
    """Refuse, or take the safe action. Returns the answer that this amounts to."""
    asks = approval.asks
    await tell_expired(work, context.task.id, approval.id, asks.role_at(approval.step))
    safe = context.task_type.subtask(approval.subtask_id).strategy.safe_default
    # A denial that nobody put aside stands.
    if context.task_type.approvals.on_expiry == "default" and safe is not None and not asks.overrides:
        await _default(context, work, approval, safe)
        return DEFAULT
    reason = UNANSWERED if asks.quorum == 1 else TOO_FEW.format(quorum=asks.quorum)
    if approval.step:
        asked = asks.roles[1 : approval.step + 1]
        reason += f", nor from {', nor from '.join(asked)}"
    if asks.overrides:
        reason = f"{', '.join(asks.overrides)}: denied, and {asks.role} did not override it in time"
    await set_subtask(work.connection, context.task.id, approval.subtask_id, SubtaskStatus.DENIED, reason=reason)
    data = {"approval": approval.id, "status": approval.status.value, "by": None}
    await work.event(f"approve:{approval.id}:taken", "approve.expired", data, approval.subtask_id)
    return approval.status.value


async def _default(context: StageContext, work: UnitOfWork, approval: Approval, safe: str) -> None:
    """Take the safe action in the answer's place; the guard looks at it as at any other."""
    await take_default(work.connection, approval.id, safe)
    await set_subtask(work.connection, context.task.id, approval.subtask_id, SubtaskStatus.RUNNING)
    answer = {"id": approval.id, "status": approval.status.value, "option": safe, "answered_by": None, "reason": None}
    work.state("answers", answer)
    data = {"approval": approval.id, "option": safe, "of": approval.asks.role_at(approval.step)}
    await work.event(f"approve:{approval.id}:taken", "approve.defaulted", data, approval.subtask_id)
