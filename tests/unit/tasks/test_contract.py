"""What a calibration was made for, against what is asked now."""

from typing import Any

import pytest

from domain.calibration import Calibration, Contract, DebateGain
from domain.task_type import SubtaskSpec
from tasks.contract import contract_of
from tasks.learning import mismatch
from tests.unit.tasks.test_calibrate import PANEL, START, kind_of

SPEC = kind_of().subtask("afford")
PEOPLE = dict.fromkeys(PANEL, 1)


def made(contract: Contract) -> Calibration:
    return Calibration(
        task_type="loan",
        subtask_id="afford",
        version=4,
        strategy="plurality",
        panel=PEOPLE,
        options=2,
        contract=contract,
        mean_rate=0.8,
        reliabilities=(),
        pool=None,
        certificates=(),
        debate=DebateGain(cases=0, wrong_to_right=0, right_to_wrong=0),
        first_case_at=START,
        last_case_at=START,
        fit_cases=1,
        certify_cases=1,
        test_cases=1,
        figures={},
        seed=1,
    )


def changed(**given: Any) -> SubtaskSpec:
    return SubtaskSpec.model_validate({**SPEC.model_dump(), **given})


APPROVE, DECLINE = {"name": "approve", "counter_arguments": ["months"]}, {"name": "decline"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (changed(actions=[APPROVE, {"name": "refer"}]), "action refer is declared; calibration 4 was made without it"),
        (changed(actions=[APPROVE]), "action decline is not declared; calibration 4 was made with it"),
        (changed(actions=[DECLINE, APPROVE]), "the order of the subtask's actions"),
        (changed(actions=[{"name": "approve"}, DECLINE]), "what a counter-proposal may set on them, has changed"),
        (changed(question="Really?"), "the subtask's question is another one now"),
        (changed(context={"working": [], "hide": ["sex"]}), "what the subtask shows its personas, or hides from them"),
        (changed(context={"working": ["income"]}), "what the subtask shows its personas"),
        (changed(context={"working": [], "episodic": 3}), "what the subtask shows its personas"),
    ],
)
def test_what_the_personas_are_asked_is_part_of_what_is_certified(spec: SubtaskSpec, said: str) -> None:
    assert mismatch(made(contract_of(SPEC)), PEOPLE, SPEC) is None
    found = mismatch(made(contract_of(SPEC)), PEOPLE, spec)
    assert found is not None
    assert said in found
    assert "calibration 4 was made" in found


def test_what_an_older_calibration_did_not_keep_is_not_compared() -> None:
    older = made(Contract())
    assert Calibration.model_validate(older.model_dump(exclude={"contract"})) == older
    assert mismatch(older, PEOPLE, changed(question="Really?")) is None
    assert mismatch(older, PEOPLE, changed(actions=[APPROVE])) == (
        "the subtask has 1 options; calibration 4 was made with 2"
    )


def test_what_decides_is_not_what_is_asked() -> None:
    other = changed(strategy={"name": "majority"}, executor="other")
    assert contract_of(other) == contract_of(SPEC)
