"""A task type over the credit pilot's policies, and subjects that pass."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.guard import Hop, Subject
from domain.settings import ROOT
from domain.task_type import ActionSpec, ContextContract, PlanSpec, Sla, StrategySpec, SubtaskSpec, TaskType
from guardrails.gate import CedarGate, load_gate

PILOT = ROOT / "pilots" / "credit_review"

FACTS: dict[Hop, dict[str, Any]] = {
    Hop.INPUT: {"stake_cents": 80000, "payload": {}},
    Hop.RETRIEVED: {"source": "episodic", "tainted": False},
    Hop.PROPOSAL: {
        "subtask": "affordability",
        "persona": "risk_analyst",
        "action": "decline",
        "confidence_bp": 7200,
        "reason_count": 2,
        "has_rationale": True,
        "evidence_count": 3,
    },
    Hop.ARGUMENTS: {
        "subtask": "affordability",
        "action": "decline",
        "arguments": {},
        "risk": "low",
        "side_effect": True,
        "stake_cents": 80000,
        "reason_count": 2,
        "explained": True,
        "margin_bp": 4100,
        "rounds": 1,
        "strategy": "confidence_weighted",
        "result": "decided",
        "memory_degraded": False,
        "approved": False,
        "edited": False,
        "tainted": False,
        "provenance": ["fields"],
        "payload": {},
    },
    Hop.RESPONSE: {"subtask": "affordability", "executor": "record_decision", "status": "done"},
}


def _task_type(folder: Path = PILOT, hide: tuple[str, ...] = ("Age", "Marital"), **fields: Any) -> TaskType:
    subtask = SubtaskSpec(
        id="affordability",
        question="Can the applicant carry the loan?",
        panel=("risk_analyst",),
        actions=(ActionSpec(name="approve"), ActionSpec(name="decline")),
        context=ContextContract(working=("Income",), hide=hide),
        strategy=StrategySpec(name="plurality"),
        executor="record_decision",
    )
    return TaskType(
        name="credit_review",
        version=1,
        **{"payload_schema": {"type": "object"}, **fields},
        answer="affordability",
        sla=Sla(deadline=timedelta(minutes=15)),
        plan=PlanSpec(subtasks=(subtask,)),
        folder=str(folder),
    )


def _subject(hop: Hop, text: str = "", **facts: Any) -> Subject:
    return Subject(hop=hop, text=text, facts={**FACTS[hop], **facts})


@pytest.fixture(scope="session")
def make_task_type() -> Callable[..., TaskType]:
    return _task_type


@pytest.fixture(scope="session")
def make_subject() -> Callable[..., Subject]:
    return _subject


@pytest.fixture(scope="session")
def loaded() -> CedarGate:
    return load_gate(_task_type())


@pytest.fixture
def gate(loaded: CedarGate) -> CedarGate:
    """A gate that has judged nothing yet: what it says of a request it remembers."""
    return CedarGate(loaded.task_type, loaded.policies, loaded.guards)


@pytest.fixture(scope="session")
def pilot() -> Path:
    return PILOT
