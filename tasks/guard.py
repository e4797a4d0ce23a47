"""Guard: policy looks at the action and its arguments before anything is done."""

from typing import Any

from domain.guard import Effect, Verdict
from domain.task import SubtaskStatus
from storage.repositories.approvals import latest_approval
from storage.repositories.negotiation import load_decision
from storage.repositories.tasks import set_subtask
from storage.tables import verdicts
from storage.unit_of_work import UnitOfWork
from tasks.bindings import chosen_option, is_bound
from tasks.context import StageContext
from tasks.policy import StagePolicy
from tasks.subjects import arguments_subject
from tasks.verdicts import verdict_row

POLICY = StagePolicy("guard", timeout_seconds=30)

_SETTLED = frozenset({Effect.ALLOW, Effect.DENY, Effect.HALT})


async def guard(context: StageContext, subtask_id: str) -> dict[str, Any]:
    """Judge the decided action. Returns {effect, cause}."""
    spec = context.task_type.subtask(subtask_id)
    async with context.work() as work:
        decision = await load_decision(work.connection, context.task.id, subtask_id)
        approval = await latest_approval(work.connection, context.task.id, subtask_id)
        bound = approval if approval and is_bound(context, spec, decision, approval) else None
        option = chosen_option(spec, decision, bound)
        if option is None:
            # The answer was given for something that has changed since: ask again.
            return {"effect": Effect.REQUIRE_APPROVAL.value, "cause": decision.result.kind.value}
        subject = arguments_subject(context.task_type, context.task.payload, decision, option, bound)
        verdict = context.gate.judge(subject)
        verdict = verdict.model_copy(update={"approval_id": bound.id if bound else None})
        await _record(context, work, subtask_id, verdict)
        if bound is not None and bound.defaulted and verdict.effect not in _SETTLED:
            # Nobody answered in time, and asking again would go unanswered for ever.
            reason = f"no answer came in time, and policy asks a person for {option.name}"
            await set_subtask(work.connection, context.task.id, subtask_id, SubtaskStatus.DENIED, reason=reason)
            await work.event(f"guard:{subtask_id}:unanswered", "guard.unanswered", {"option": option.name}, subtask_id)
            return {"effect": Effect.DENY.value, "cause": ", ".join(verdict.policy_ids)}
    return {"effect": verdict.effect.value, "cause": ", ".join(verdict.policy_ids)}


async def _record(context: StageContext, work: UnitOfWork, subtask_id: str, verdict: Verdict) -> None:
    key = f"guard:{subtask_id}:{verdict.approval_id or 'first'}"
    await work.add(verdicts, verdict_row(context.task.id, key, verdict, subtask_id))
    data = {"policy_ids": list(verdict.policy_ids), "reasons": list(verdict.reasons)}
    await work.event(key, f"guard.{verdict.effect.value}", data, subtask_id)
    if verdict.effect in (Effect.DENY, Effect.HALT):
        reason = "; ".join(verdict.reasons)
        await set_subtask(work.connection, context.task.id, subtask_id, SubtaskStatus.DENIED, reason=reason)
