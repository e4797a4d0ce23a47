"""Guard: policy looks at the action and its arguments before anything is done."""

from dataclasses import dataclass
from typing import Any

from domain.approval import Approval
from domain.decision import Decision
from domain.guard import Effect, Subject, Verdict
from domain.proposal import Option
from domain.task import SubtaskStatus
from domain.task_type import SubtaskSpec
from negotiation.rounds import declared_options
from storage.repositories.approvals import latest_approval, read_approval
from storage.repositories.negotiation import load_decision
from storage.repositories.tasks import set_subtask
from storage.tables import verdicts
from storage.unit_of_work import UnitOfWork
from tasks.bindings import chosen_option, is_bound
from tasks.context import StageContext
from tasks.passage import pass_gate
from tasks.policy import StagePolicy
from tasks.subjects import arguments_subject
from tasks.taint import behind, is_tainted
from tasks.verdicts import verdict_row

POLICY = StagePolicy("guard", timeout_seconds=120)

_SETTLED = frozenset({Effect.ALLOW, Effect.DENY, Effect.HALT})


@dataclass(frozen=True)
class Matter:
    """What there is to judge."""

    decision: Decision
    approval: Approval | None
    """The newest one, whatever became of it."""
    tainted: bool


async def guard(context: StageContext, subtask_id: str) -> dict[str, Any]:
    """Judge the decided action. Returns {effect, cause}."""
    spec = context.task_type.subtask(subtask_id)
    while True:
        # A judge may take its time: nothing is locked while it is asked.
        matter = await _read(context, subtask_id)
        bound = _bound(context, spec, matter)
        option = chosen_option(spec, matter.decision, bound)
        verdict = None if option is None else await _judge(context, spec, matter, bound, option)
        async with context.work() as work:
            if await latest_approval(work.connection, context.task.id, subtask_id) != matter.approval:
                continue
            if option is None or verdict is None:
                # The answer was given for something that has changed since: ask again.
                return {"effect": Effect.REQUIRE_APPROVAL.value, "cause": matter.decision.result.kind.value}
            await _record(context, work, subtask_id, verdict, matter)
            return await _settle(context, work, subtask_id, verdict, bound, option)


async def _read(context: StageContext, subtask_id: str) -> Matter:
    task_id = context.task.id
    async with context.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        return Matter(
            decision=await load_decision(connection, task_id, subtask_id),
            approval=await read_approval(connection, task_id, subtask_id),
            tainted=await is_tainted(connection, task_id, behind(context.task_type, subtask_id)),
        )


def _bound(context: StageContext, spec: SubtaskSpec, matter: Matter) -> Approval | None:
    """The approval, where it stands for what is true now."""
    approval = matter.approval
    return approval if approval and is_bound(context, spec, matter.decision, approval) else None


async def _judge(
    context: StageContext, spec: SubtaskSpec, matter: Matter, bound: Approval | None, option: Option
) -> Verdict:
    """The verdict on what may be carried out: redacted or downgraded where policy asks for it."""

    def subject_of(arguments: Any, one: Option = option) -> Subject:
        changed = one.model_copy(update={"arguments": arguments})
        kind, payload = context.task_type, context.task.payload
        return arguments_subject(kind, payload, matter.decision, changed, bound, tainted=matter.tainted)

    passage = await pass_gate(context.gate, option.arguments, subject_of)
    verdict = passage.verdict
    if verdict.effect is Effect.DOWNGRADE:
        verdict = await _downgrade(context, spec, verdict, subject_of)
    elif verdict.modified:
        verdict = verdict.model_copy(update={"instead": option.model_copy(update={"arguments": passage.value})})
    return verdict.model_copy(update={"approval_id": bound.id if bound else None})


async def _downgrade(context: StageContext, spec: SubtaskSpec, verdict: Verdict, subject_of: Any) -> Verdict:
    """The verdict on the lesser action; where there is none, or it may not pass either, a person is asked."""
    name = verdict.downgrade_to or spec.strategy.safe_default
    lesser = next((one for one in declared_options(spec) if one.name == name), None)
    if lesser is None:
        return _asked(verdict, "there is no lesser action")
    again = (await pass_gate(context.gate, lesser.arguments, lambda arguments: subject_of(arguments, lesser))).verdict
    if again.effect is not Effect.ALLOW or again.modified:
        return _asked(verdict, f"the lesser action {lesser.name} may not pass either: {again.effect.value}")
    return again.model_copy(update={"modified_by": verdict.policy_ids, "instead": lesser})


def _asked(verdict: Verdict, reason: str) -> Verdict:
    return verdict.model_copy(update={"effect": Effect.REQUIRE_APPROVAL, "reasons": (*verdict.reasons, reason)})


async def _settle(
    context: StageContext, work: UnitOfWork, subtask_id: str, verdict: Verdict, bound: Approval | None, option: Option
) -> dict[str, Any]:
    cause = ", ".join(verdict.policy_ids)
    if _may_be_overridden(verdict, bound):
        return {"effect": Effect.REQUIRE_APPROVAL.value, "cause": cause}
    if verdict.effect in (Effect.DENY, Effect.HALT):
        reason = "; ".join(verdict.reasons)
        await set_subtask(work.connection, context.task.id, subtask_id, SubtaskStatus.DENIED, reason=reason)
    if bound is not None and bound.defaulted and verdict.effect not in _SETTLED:
        # Nobody answered in time, and asking again would go unanswered for ever.
        reason = f"no answer came in time, and policy asks a person for {option.name}"
        await set_subtask(work.connection, context.task.id, subtask_id, SubtaskStatus.DENIED, reason=reason)
        await work.event(f"guard:{subtask_id}:unanswered", "guard.unanswered", {"option": option.name}, subtask_id)
        return {"effect": Effect.DENY.value, "cause": cause}
    return {"effect": verdict.effect.value, "cause": cause}


def _may_be_overridden(verdict: Verdict, bound: Approval | None) -> bool:
    """Whether somebody is asked to put the denial aside: once, and not where nobody answered before."""
    return verdict.overridable_by is not None and not (bound and (bound.overrides or bound.defaulted))


async def _record(context: StageContext, work: UnitOfWork, subtask_id: str, verdict: Verdict, matter: Matter) -> None:
    looked = verdict.approval_id or "first"
    if matter.approval is not None and verdict.approval_id is None:
        # Judged as if nobody had answered: what was asked is different by now.
        looked = f"unbound:{matter.approval.id}"
    key = f"guard:{subtask_id}:{looked}"
    await work.add(verdicts, verdict_row(context.task.id, key, verdict, subtask_id))
    data: dict[str, Any] = {"policy_ids": list(verdict.policy_ids), "reasons": list(verdict.reasons)}
    if verdict.modified_by:
        # What it was, by the policies that would not let it pass so.
        data["modified_by"] = list(verdict.modified_by)
        data["instead"] = verdict.instead.name if verdict.instead else None
    if verdict.overridden:
        data["overridden"] = list(verdict.overridden)
    await work.event(key, f"guard.{verdict.effect.value}", data, subtask_id)
