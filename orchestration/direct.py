"""The direct lane: a stage's policy applied by tenacity, without a Prefect run."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential, wait_fixed

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
    async for attempt in AsyncRetrying(
        stop=stop_after_attempt(policy.attempts),
        wait=waits_of(policy),
        retry=retry_if_exception(is_transient),
        reraise=True,
    ):
        with attempt:
            async with asyncio.timeout(policy.timeout_seconds):
                return await stage(context, *arguments)
    raise AssertionError("tenacity re-raises the last error")


def waits_of(policy: StagePolicy, draw: Callable[[], float] = random.random) -> Callable[[RetryCallState], float]:
    """How long each wait is, in seconds, the random share on top included; `draw` is from 0 to 1."""
    fixed = wait_fixed(policy.backoff_seconds)
    plain = wait_exponential(policy.backoff_seconds, MAX_WAIT_SECONDS) if policy.exponential else fixed
    return lambda state: plain(state) * (1 + policy.jitter * draw())


DIRECT = Stages(run=run_direct, run_round=hold_round)
