"""Frozen models refuse what they do not know; the end states and errors are the whole set."""

import inspect
import math

import pytest
from pydantic import ValidationError

from domain import errors
from domain.guard import SEVERITY, Effect
from domain.model import Frozen
from domain.proposal import Proposal
from domain.settings import Settings
from domain.task import END_STATES, ENDED_SUBTASK, SubtaskStatus, TaskStatus
from domain.task_type import RetrySpec, StrategySpec

PROPOSAL = {"persona": "ann", "persona_version": 1, "round": 0, "option": "pay", "confidence": 0.5, "rationale": "so"}


def test_a_value_does_not_change():
    made = Proposal(**PROPOSAL)
    with pytest.raises(ValidationError, match="frozen"):
        made.option = "reject"


@pytest.mark.parametrize(
    "changes", [{"mood": "good"}, {"confidence": math.nan}, {"confidence": math.inf}, {"round": -1}, {"option": 3}]
)
def test_what_is_not_declared_is_refused(changes):
    with pytest.raises(ValidationError):
        Proposal(**{**PROPOSAL, **changes})


def test_a_model_survives_its_json():
    made = Proposal(**PROPOSAL)
    assert Proposal.model_validate_json(made.model_dump_json()) == made


def test_end_states():
    assert set(TaskStatus) - END_STATES == {TaskStatus.SUBMITTED, TaskStatus.RUNNING, TaskStatus.PARKED}
    assert set(SubtaskStatus) - ENDED_SUBTASK == {SubtaskStatus.PENDING, SubtaskStatus.RUNNING, SubtaskStatus.PARKED}


def test_the_most_severe_effect_comes_first():
    assert SEVERITY[0] is Effect.HALT
    assert SEVERITY[-1] is Effect.ALLOW
    assert SEVERITY.index(Effect.DENY) < SEVERITY.index(Effect.REQUIRE_APPROVAL)


def test_every_error_is_one_of_ours_and_in_the_tree_that_is_shown():
    ours = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)]
    assert ours
    assert all(issubclass(one, errors.ParleyError) for one in ours)
    assert all(one.__name__ in (errors.__doc__ or "") for one in ours)


def test_a_rejection_is_an_executor_error_and_bad_input_is_no_run_error():
    assert issubclass(errors.ExecutorRejected, errors.ExecutorError)
    assert not issubclass(errors.PayloadError, errors.RunError)


@pytest.mark.parametrize("value", [{"attempts": 0}, {"attempts": 11}, {"backoff": "sometimes"}])
def test_retries_are_bounded(value):
    with pytest.raises(ValidationError):
        RetrySpec(**value)


@pytest.mark.parametrize("value", [{"rounds": 0}, {"rounds": 11}, {"escalate_below": 1.1}])
def test_a_strategy_is_bounded(value):
    with pytest.raises(ValidationError):
        StrategySpec(name="plurality", **value)


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PARLEY_STATE", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/parley")
    monkeypatch.setenv("PARLEY_LEASE_SECONDS", "7")
    made = Settings()
    assert (made.home, made.database_url, made.lease_seconds) == (tmp_path, "postgresql://somewhere/parley", 7)
    monkeypatch.setenv("PARLEY_LEASE_SECONDS", "1")
    with pytest.raises(ValidationError, match=r"(?i)lease_seconds"):
        Settings()


def test_frozen_models_refuse_infinity():
    class Number(Frozen):
        value: float

    with pytest.raises(ValidationError):
        Number(value=math.inf)
