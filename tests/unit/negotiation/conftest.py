"""Builders for votes and rounds."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.proposal import Evidence, Option, Proposal
from domain.task_type import ActionSpec, ContextContract, StrategySpec, SubtaskSpec


def _proposal(persona: str, option: str | None, confidence: float = 0.8, round: int = 0, **more: Any) -> Proposal:
    fields = {"persona_version": 1, "rationale": f"why {option}", "evidence": (Evidence(id=f"field:{persona}"),)}
    return Proposal(persona=persona, option=option, confidence=confidence, round=round, **{**fields, **more})


@pytest.fixture(scope="session")
def vote() -> Callable[..., Proposal]:
    return _proposal


@pytest.fixture(scope="session")
def options() -> tuple[Option, ...]:
    return tuple(Option(name=name, action=name) for name in ("approve", "decline", "refer"))


@pytest.fixture(scope="session")
def subtask() -> SubtaskSpec:
    return SubtaskSpec(
        id="terms",
        question="Which terms?",
        panel=("ann", "bob", "cyd"),
        actions=(ActionSpec(name="approve", counter_arguments=("limit",)), ActionSpec(name="decline")),
        context=ContextContract(working=("income",)),
        strategy=StrategySpec(name="plurality"),
        executor="record_decision",
    )
