"""The stage functions as one value, so that a lane is a choice of wrapping and nothing else."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tasks.approve import ANSWER_POLICY, collect_answer
from tasks.approve import POLICY as APPROVE_POLICY
from tasks.approve import approve as approve_stage
from tasks.compensate import POLICY as COMPENSATE_POLICY
from tasks.compensate import compensate, give_up_undo
from tasks.compensate import undo as undo_stage
from tasks.consolidate import POLICY as CONSOLIDATE_POLICY
from tasks.consolidate import consolidate
from tasks.context import StageContext
from tasks.execute import execute as execute_stage
from tasks.execute import give_up, policy_of
from tasks.guard import POLICY as GUARD_POLICY
from tasks.guard import guard
from tasks.intake import POLICY as INTAKE_POLICY
from tasks.intake import intake
from tasks.negotiate import POLICY as NEGOTIATE_POLICY
from tasks.negotiate import negotiate
from tasks.plan import POLICY as PLAN_POLICY
from tasks.plan import plan
from tasks.policy import StagePolicy
from tasks.report import POLICY as REPORT_POLICY
from tasks.report import report
from tasks.steps import Step, step_of, undo_step

StageResult = dict[str, Any]
Runner = Callable[
    [StagePolicy, Callable[..., Awaitable[StageResult]], StageContext, tuple[Any, ...]], Awaitable[StageResult]
]
"""Runs one stage function under its policy: (policy, stage, context, arguments) -> result."""


@dataclass(frozen=True)
class Stages:
    """Every stage, run by one lane's runner."""

    run: Runner
    run_round: Callable[["Stages", StageContext, str, int], Awaitable[StageResult]]
    """Holds one negotiation round; the traced lane makes it a subflow."""

    async def intake(self, context: StageContext) -> StageResult:
        """See tasks.intake."""
        return await self.run(INTAKE_POLICY, intake, context, ())

    async def plan(self, context: StageContext) -> StageResult:
        """See tasks.plan."""
        return await self.run(PLAN_POLICY, plan, context, ())

    async def negotiate(self, context: StageContext, subtask_id: str, round: int) -> StageResult:
        """See tasks.negotiate."""
        return await self.run_round(self, context, subtask_id, round)

    async def guard(self, context: StageContext, subtask_id: str) -> StageResult:
        """See tasks.guard."""
        return await self.run(GUARD_POLICY, guard, context, (subtask_id,))

    async def approve(self, context: StageContext, subtask_id: str, cause: str) -> StageResult:
        """See tasks.approve."""
        return await self.run(APPROVE_POLICY, approve_stage, context, (subtask_id, cause))

    async def answer(self, context: StageContext, subtask_id: str) -> StageResult:
        """See tasks.approve.collect_answer."""
        return await self.run(ANSWER_POLICY, collect_answer, context, (subtask_id,))

    async def execute(self, context: StageContext, subtask_id: str) -> StageResult:
        """See tasks.execute."""
        step = step_of(context.task_type.subtask(subtask_id))
        return await self.run(_policy(context, step), execute_stage, context, (subtask_id,))

    async def give_up(self, context: StageContext, subtask_id: str, error: str) -> StageResult:
        """See tasks.execute.give_up."""
        return await self.run(COMPENSATE_POLICY, give_up, context, (subtask_id, error))

    async def compensate(self, context: StageContext, cause: str) -> StageResult:
        """See tasks.compensate."""
        return await self.run(COMPENSATE_POLICY, compensate, context, (cause,))

    async def undo(self, context: StageContext, subtask_id: str) -> StageResult:
        """See tasks.compensate.undo."""
        step = undo_step(context.task_type.subtask(subtask_id))
        return await self.run(_policy(context, step), undo_stage, context, (subtask_id,))

    async def give_up_undo(self, context: StageContext, subtask_id: str, error: str) -> StageResult:
        """See tasks.compensate.give_up_undo."""
        return await self.run(COMPENSATE_POLICY, give_up_undo, context, (subtask_id, error))

    async def consolidate(self, context: StageContext) -> StageResult:
        """See tasks.consolidate."""
        return await self.run(CONSOLIDATE_POLICY, consolidate, context, ())

    async def report(self, context: StageContext, denied: str | None, halted: str | None) -> StageResult:
        """See tasks.report."""
        return await self.run(REPORT_POLICY, report, context, (denied, halted))


def _policy(context: StageContext, step: Step) -> StagePolicy:
    """Of a stage that acts. Raises ExecutorRejected where the parameters cannot be used."""
    longest = max(ability.call_seconds for ability in step.abilities(context))
    return policy_of(step.spec, longest, "undo" if step.undoes else "execute")


async def hold_round(stages: Stages, context: StageContext, subtask_id: str, round: int) -> StageResult:
    """One negotiation round as a plain stage call."""
    return await stages.run(NEGOTIATE_POLICY, negotiate, context, (subtask_id, round))
