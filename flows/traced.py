"""The traced lane: every stage a Prefect task run, every round a subflow."""

from collections.abc import Awaitable, Callable
from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.tasks import Task, exponential_backoff

from flows.negotiation_round import ROUND, RoundCall, negotiation_round
from orchestration.stages import StageResult, Stages
from tasks.context import StageContext
from tasks.policy import StagePolicy, is_transient


async def run_traced(
    policy: StagePolicy,
    stage: Callable[..., Awaitable[StageResult]],
    context: StageContext,
    arguments: tuple[Any, ...],
) -> StageResult:
    """Run the stage as a Prefect task with the policy's retries, time-out and cache key."""
    failed: list[BaseException] = []

    async def call(task_id: str, arguments: list[Any]) -> StageResult:
        try:
            return await stage(context, *arguments)
        except Exception as error:
            failed.append(error)
            raise

    key = ":".join((context.task.id, policy.stage, *map(str, arguments)))
    options: dict[str, Any] = {"cache_policy": NO_CACHE}
    if policy.cached:
        options = {"cache_key_fn": lambda *_: key, "persist_result": True}
    waits = exponential_backoff(policy.backoff_seconds) if policy.exponential else policy.backoff_seconds
    traced = Task(
        call,
        name=policy.stage,
        task_run_name=policy.stage,
        retries=policy.attempts - 1,
        retry_delay_seconds=waits,
        retry_jitter_factor=policy.jitter,
        timeout_seconds=policy.timeout_seconds,
        # Prefect hands a state over; the error itself is at hand here.
        retry_condition_fn=lambda *_: bool(failed) and is_transient(failed[-1]),
        **options,
    )
    return await traced(context.task.id, list(arguments))


async def _round(stages: Stages, context: StageContext, subtask_id: str, round: int) -> StageResult:
    token = ROUND.set(RoundCall(stages=stages, context=context))
    try:
        return await negotiation_round(context.task.id, subtask_id, round)
    finally:
        ROUND.reset(token)


TRACED = Stages(run=run_traced, run_round=_round)
