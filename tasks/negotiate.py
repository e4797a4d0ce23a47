"""Negotiate: one round of the panel, and what the strategy makes of it."""

from collections.abc import Sequence
from typing import Any

from domain.decision import Decision, ResultKind, Shadow
from domain.proposal import Proposal
from domain.task import SubtaskStatus
from domain.task_type import SubtaskSpec
from negotiation.conclusion import conclude, floor_of, open_options
from negotiation.explanation import explain, stated_reasons
from negotiation.force import in_force, to_calibrate
from negotiation.rounds import Step, declared_options, resolve
from storage.repositories.negotiation import (
    Seen,
    StoredProposal,
    counted,
    decision_row,
    find_end,
    is_overdue,
    load_rounds,
    load_seen,
    round_key,
)
from storage.repositories.tasks import set_subtask
from storage.tables import decisions
from storage.unit_of_work import UnitOfWork
from tasks.audit import draw
from tasks.background import load_background
from tasks.ballots import RoundBallots, cast_round, store_round
from tasks.context import StageContext
from tasks.learning import Learning, learning
from tasks.policy import StagePolicy

POLICY = StagePolicy("negotiate", timeout_seconds=600, cached=True)


async def negotiate(context: StageContext, subtask_id: str, round: int) -> dict[str, Any]:
    """Hold round `round`. Returns {go: again | decided | escalated | failed, cause}."""
    spec = context.task_type.subtask(subtask_id)
    stored: list[list[StoredProposal]] = []
    if round or context.lease.fence > 1:
        stored, went = await _earlier(context, subtask_id, round)
        if went is not None:
            return went
    ballots = None
    if len(stored) <= round:
        earlier = counted(stored)
        ballots = await cast_round(context, spec, open_options(spec, declared_options(spec), earlier), earlier)
    async with context.work(midway=True) as work:
        await set_subtask(work.connection, context.task.id, subtask_id, SubtaskStatus.RUNNING)
        if ballots is not None:
            stored = [*stored, await store_round(work, ballots)]
        return await _conclude(context, work, spec, stored[: round + 1], ballots)


async def _earlier(
    context: StageContext, subtask_id: str, round: int
) -> tuple[list[list[StoredProposal]], dict[str, Any] | None]:
    """The rounds held so far, and how this one went, where a run was cut off right behind it.

    What is in force may have changed since; what was recorded stands.
    """
    async with context.work() as work:
        stored = await load_rounds(work.connection, context.task.id, subtask_id)
        if context.lease.fence == 1 and len(stored) <= round:
            return stored, None
        ended = await find_end(work.connection, context.task.id, subtask_id, round)
        return stored, _went(
            context.task_type.subtask(subtask_id), ended.decision
        ) if ended.again or ended.decision is not None else None


async def _conclude(
    context: StageContext,
    work: UnitOfWork,
    spec: SubtaskSpec,
    stored: list[list[StoredProposal]],
    ballots: RoundBallots | None,
) -> dict[str, Any]:
    rounds = counted(stored)
    round = len(rounds) - 1
    overdue = work.overdue or await _is_late(context, work, spec)
    learned = await learning(context, work.connection, spec)
    spec = spec.model_copy(update={"strategy": in_force(spec.strategy, learned.terms.learned)})
    floor = floor_of(spec, declared_options(spec), spec.panel, rounds, overdue)
    ended = conclude(spec.strategy, floor, learned.terms)
    result, step = ended.result, ended.step
    struck = {one.proposal.persona: one.struck for one in stored[-1] if one.struck}
    data = {"round": round, "kind": result.kind.value, "option": result.option, "margin": result.margin}
    key = round_key(spec.id, round)
    await work.event(key, f"negotiate.{step.go}", {**data, "reason": step.reason, "struck": struck}, spec.id)
    if step.go == "again":
        return _went(spec, None)
    if overdue and not (step.go == "decided" and ended.result.kind is ResultKind.DECIDED):
        await _past_deadline(context, work, spec, step)
    seen = await _seen(context, work, spec.id, round, ballots)
    decision = Decision(
        task_id=context.task.id,
        subtask_id=spec.id,
        result=result,
        option=ended.option,
        reasons=stated_reasons(result, rounds[-1]),
        rounds=len(rounds),
        snapshot_hash=seen.hash,
        memory_degraded=seen.degraded is not None,
        shadow=_shadow(spec, rounds, learned),
        explanation=explain(
            spec.strategy,
            ended.options,
            spec.panel,
            rounds,
            result,
            step.reason,
            overdue=overdue,
            terms=learned.terms,
            background=await load_background(work, spec.id, round, ballots, result),
        ),
    )
    await work.add(decisions, decision_row(decision))
    await draw(context, work, spec, decision)
    return _went(spec, decision)


async def _past_deadline(context: StageContext, work: UnitOfWork, spec: SubtaskSpec, step: Step) -> None:
    """Say which of the declared outcomes the deadline had."""
    outcome = {"decided": "default", "failed": "fail"}.get(step.go, "escalate")
    data = {"declared": spec.on_deadline, "outcome": outcome, "reason": step.reason}
    await work.event(f"deadline:{spec.id}", "deadline.passed", data, spec.id)
    if step.go == "failed":
        await set_subtask(work.connection, context.task.id, spec.id, SubtaskStatus.FAILED, reason=step.reason)


def _went(spec: SubtaskSpec, decision: Decision | None) -> dict[str, Any]:
    """None: another round follows."""
    if decision is None:
        return {"go": "again", "cause": None}
    if decision.option is not None:
        return {"go": "decided", "cause": None}
    if spec.on_deadline == "fail" and decision.explanation["overdue"]:
        return {"go": "failed", "cause": None}
    return {"go": "escalated", "cause": decision.result.kind.value}


def _shadow(spec: SubtaskSpec, rounds: Sequence[Sequence[Proposal]], learned: Learning) -> Shadow | None:
    """What the shadow calibration makes of the blind vote, the one that calibrations are made from."""
    if learned.shadow is None:
        return None
    strategy = to_calibrate(spec.strategy)
    result = resolve(strategy, declared_options(spec), spec.panel, rounds[:1], terms=learned.shadow_terms)
    return Shadow(calibration=learned.shadow.version, kind=result.kind, option=result.option, score=result.score)


async def _seen(
    context: StageContext, work: UnitOfWork, subtask_id: str, round: int, ballots: RoundBallots | None
) -> Seen:
    """What the round's panel saw: an earlier run's snapshot stands, where there may be one."""
    if ballots is not None and context.lease.fence == 1:
        return Seen(hash=ballots.snapshot.hash, degraded=ballots.degraded)
    await work.flush()
    return await load_seen(work.connection, context.task.id, subtask_id, round)


async def _is_late(context: StageContext, work: UnitOfWork, spec: SubtaskSpec) -> bool:
    """Whether the subtask's own limits have passed; asked only where it has some."""
    if spec.deadline is None and spec.strategy.deadline is None:
        return False
    return await is_overdue(work.connection, context.task.id, spec.id, spec.strategy.deadline)
