"""Which failures are tried again, and how the direct lane applies a stage's policy."""

import asyncio
from time import monotonic

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError
from tenacity import RetryCallState

from domain.errors import ExecutorError, ExecutorRejected, LeaseLost, ReasonerError, TaskHalted
from domain.task_type import SubtaskSpec
from orchestration.direct import run_direct, waits_of
from tasks.execute import policy_of
from tasks.policy import StagePolicy, is_transient


def _wrapped(error):
    return DBAPIError("SELECT 1", {}, error)


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("gone"),
        psycopg.InterfaceError("closed"),
        _wrapped(psycopg.OperationalError("gone")),
        _wrapped(psycopg.errors.IdleInTransactionSessionTimeout("it stood still")),
        ExecutorError("500"),
        TimeoutError(),
        ConnectionResetError(),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again(error):
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ExecutorRejected("400"),
        LeaseLost("stale"),
        TaskHalted("cancelled"),
        ReasonerError("no answer"),
        psycopg.errors.CheckViolation("four_eyes"),
        IntegrityError("INSERT", {}, psycopg.errors.UniqueViolation("twice")),
        KeyError("bug"),
        asyncio.CancelledError(),
    ],
    ids=repr,
)
def test_what_will_not_pass_is_not(error):
    assert not is_transient(error)


def _spec(retry):
    return SubtaskSpec.model_validate(
        {
            "id": "pay",
            "question": "?",
            "panel": ["ann"],
            "actions": [{"name": "pay"}],
            "context": {"working": []},
            "strategy": {"name": "plurality"},
            "executor": "record_decision",
            "retry": retry,
        }
    )


def test_the_task_type_says_how_often_an_executor_is_tried():
    policy = policy_of(_spec({"attempts": 7, "backoff": "fixed"}))
    assert (policy.attempts, policy.exponential, policy.cached) == (7, False, False)
    assert policy_of(_spec({"backoff": "exponential"})).exponential


@pytest.mark.parametrize("exponential", [True, False])
def test_a_wait_has_a_random_share_on_top(exponential):
    policy = StagePolicy("one", backoff_seconds=2.0, exponential=exponential, jitter=0.5)
    third = RetryCallState(None, None, (), {})
    third.attempt_number = 3
    plain = 8.0 if exponential else 2.0
    assert [waits_of(policy, lambda drawn=drawn: drawn)(third) for drawn in (0.0, 0.5, 1.0)] == [
        plain, 1.25 * plain, 1.5 * plain
    ]  # fmt: skip


def test_a_stage_that_acts_has_time_for_its_call():
    assert policy_of(_spec({}), 300.0).timeout_seconds > 300.0


QUICK = StagePolicy("quick", attempts=3, backoff_seconds=0.01, exponential=False, timeout_seconds=0.2)


class Failing:
    """Fails so many times, then answers."""

    def __init__(self, error, times):
        self.error, self.times, self.calls = error, times, 0

    async def __call__(self, context):
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return {"calls": self.calls}


async def test_a_failure_that_passes():
    stage = Failing(ConnectionError("away"), times=2)
    assert await run_direct(QUICK, stage, None, ()) == {"calls": 3}


async def test_attempts_run_out_with_the_last_error():
    stage = Failing(ConnectionError("away"), times=9)
    with pytest.raises(ConnectionError, match="away"):
        await run_direct(QUICK, stage, None, ())
    assert stage.calls == 3


async def test_a_lost_lease_is_not_tried_again():
    stage = Failing(LeaseLost("stale"), times=9)
    with pytest.raises(LeaseLost):
        await run_direct(QUICK, stage, None, ())
    assert stage.calls == 1


async def test_each_attempt_has_its_own_time():
    calls = []

    async def slow(context):
        calls.append(monotonic())
        await asyncio.sleep(30)

    policy = StagePolicy("slow", attempts=2, backoff_seconds=0.01, exponential=False, timeout_seconds=0.05)
    with pytest.raises(TimeoutError):
        await run_direct(policy, slow, None, ())
    assert len(calls) == 2
