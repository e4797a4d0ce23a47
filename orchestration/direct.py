"""The direct lane: a stage's policy applied by tenacity, without a Prefect run."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter, wait_fixed

from orchestration.stages import StageResult, Stages, hold_round
from tasks.context import StageContext
from tasks.policy import StagePolicy, is_transient

MAX_WAIT_SECONDS = 30.0


async def run_direct(
    policy: StagePolicy,
    stage: Callable[..., Awaitable[StageResult]],
    context: StageContext,
    arguments: tuple[Any, ...],
) -> StageResult:
    """Run the stage, with retries and a time-out for each attempt."""
    wait = (
        wait_exponential_jitter(policy.backoff_seconds, MAX_WAIT_SECONDS, jitter=policy.jitter)
        if policy.exponential
        else wait_fixed(policy.backoff_seconds)
    )
    async for attempt in AsyncRetrying(
        stop=stop_after_attempt(policy.attempts), wait=wait, retry=retry_if_exception(is_transient), reraise=True
    ):
        with attempt:
            async with asyncio.timeout(policy.timeout_seconds):
                return await stage(context, *arguments)
    raise AssertionError("tenacity re-raises the last error")


DIRECT = Stages(run=run_direct, run_round=hold_round)
