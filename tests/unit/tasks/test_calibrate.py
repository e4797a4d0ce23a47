"""From resolved tasks to cases, strategies and a calibration."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import InputError
from domain.persona import Persona
from domain.proposal import Option, Proposal
from domain.task_type import TaskType
from negotiation.calibration.cases import Case
from negotiation.calibration.certify import least_cases
from negotiation.calibration.fit import split
from negotiation.strategies import STRATEGIES
from storage.repositories.resolved import ResolvedRow
from tasks.calibrate import (
    LeftOut,
    calibrate,
    cases_for,
    cases_needed,
    certificate_of,
    enough,
    own_rule,
    seat_of,
    strategies_for,
    to_material,
)
from tasks.calibration_words import as_markdown, describe, lines

START = datetime(2026, 1, 1, tzinfo=UTC)
PANEL = ("ann", "bob", "cyd")


def kind_of(**strategy: Any) -> TaskType:
    subtask = {
        "id": "afford",
        "question": "?",
        "panel": PANEL,
        "actions": [{"name": "approve", "counter_arguments": ["months"]}, {"name": "decline"}],
        "context": {"working": []},
        "strategy": {"name": "plurality", **strategy},
        "executor": "record_decision",
    }
    return TaskType.model_validate(
        {
            "name": "loan",
            "version": 1,
            "payload_schema": {},
            "answer": "afford",
            "sla": {"deadline": "PT15M"},
            "plan": {"subtasks": [subtask]},
        }
    )


PERSONAS = {
    name: Persona.model_validate(
        {"id": name, "version": 2, "role": "r", "view": [], "reasoner": {"kind": "recorded"}},
    )
    for name in PANEL
}
SEAT = seat_of(kind_of(certify={}), PERSONAS, None)


def vote(persona: str, option: str | None, **given: Any) -> Proposal:
    made = {"persona": persona, "persona_version": 2, "round": 0, "option": option, "confidence": 0.8, "rationale": "r"}
    return Proposal.model_construct(**{**Proposal.model_validate(made).__dict__, **given})


def row(number: int, *rounds: tuple[Proposal, ...], right: str = "approve", key: str | None = None) -> ResolvedRow:
    at = START + timedelta(hours=number)
    return ResolvedRow.model_construct(
        task_id=f"task-{number:04}",
        case_key=key,
        type_version=1,
        right_action=right,
        created_at=at,
        decided_at=at,
        recorded_at=at,
        rounds=rounds,
    )


def unanimous(option: str) -> tuple[Proposal, ...]:
    return tuple(vote(persona, option) for persona in PANEL)


def test_blind_votes_become_cases() -> None:
    blind = (vote("bob", "decline"), vote("ann", "approve", confidence=0.6), vote("cyd", None))
    found = to_material(SEAT, [row(1, blind, unanimous("decline"))])
    (case,) = found.cases
    assert (case.key, case.right) == ("task-0001", "approve")
    assert [(one.persona, one.option, one.round) for one in case.votes] == [
        ("ann", "approve", 0),
        ("bob", "decline", 0),
        ("cyd", None, 0),
    ]
    assert list(found.debates) == ["task-0001"]
    assert found.left_out.total == 0


def test_rejected_votes_do_not_count_and_struck_ones_are_absent() -> None:
    # A struck proposal never reaches the row; a broken one does.
    twice = (vote("ann", "approve"), vote("ann", "decline"), vote("bob", "approve"), vote("cyd", "elsewhere"))
    wild = (vote("ann", "approve", confidence=float("nan")), vote("bob", "decline", confidence=1.5))
    found = to_material(SEAT, [row(1, twice), row(2, wild), row(3, (vote("bob", "decline"),))])
    assert [[one.persona for one in case.votes] for case in found.cases] == [["bob"], [], ["bob"]]


def test_a_counter_proposal_is_no_blind_vote_and_right_where_its_action_is() -> None:
    option = Option(name="approve 36 months", action="approve", arguments={"months": 36})
    blind = (vote("ann", "decline", counter=option), vote("bob", "decline"), vote("cyd", "approve"))
    later = tuple(vote(persona, option.name, round=1) for persona in PANEL)
    found = to_material(SEAT, [row(number, blind, later, key=f"k{number:03}") for number in range(60)])
    assert {one.option for case in found.cases for one in case.votes} == {"approve", "decline"}
    made = calibrate(SEAT, found, seed=0)
    assert (made.debate.cases, made.debate.wrong_to_right, made.debate.right_to_wrong) == (60, 60, 0)
    assert made.debate.pays is True


def test_what_teaches_nothing_is_counted() -> None:
    other_version = (vote("ann", "approve", persona_version=1), vote("bob", "approve"))
    stranger = (vote("dan", "approve"), vote("bob", "approve"))
    rows = [
        row(1, other_version),
        row(2, stranger),
        row(3, unanimous("approve"), right="refer"),
        row(4, unanimous("approve"), key="same"),
        row(5),
        row(6, (), unanimous("approve")),
        row(7, unanimous("decline"), key="same"),
    ]
    found = to_material(SEAT, rows)
    assert found.left_out == LeftOut(other_panel=2, undeclared=1, repeated=1, unvoted=2)
    assert [case.key for case in found.cases] == ["same"]
    assert {one.option for one in found.cases[0].votes} == {"decline"}, "the latest decision of a case counts"
    assert found.first_at == found.last_at == START + timedelta(hours=7)


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = [row(number, unanimous("approve"), key=f"k{number % 3}") for number in range(7)]
    assert to_material(SEAT, rows) == to_material(SEAT, rows[::-1])


def test_the_bound_is_the_strategys_own() -> None:
    assert SEAT.bound.alpha == 0.05
    assert seat_of(kind_of(), PERSONAS, 0.1).bound.alpha == 0.1
    assert seat_of(kind_of(name="calibrated_pool"), PERSONAS, None).bound.alpha == 0.05
    own = kind_of(certify={"alpha": 0.02})
    assert seat_of(own, PERSONAS, None).bound.alpha == 0.02
    with pytest.raises(InputError, match="certifies"):
        seat_of(own, PERSONAS, 0.1)
    with pytest.raises(InputError, match="between 0 and 1"):
        seat_of(kind_of(), PERSONAS, 1.5)


def test_the_strategy_that_takes_over_is_the_one_that_is_calibrated() -> None:
    seat = seat_of(kind_of(when_calibrated={"certify": {"alpha": 0.02}}), PERSONAS, None)
    assert (own_rule(seat.subtask.strategy), seat.bound.alpha, seat.asked) == ("calibrated_pool", 0.02, True)
    made = calibrate(seat, to_material(seat, _resolved(100, 0)), seed=0)
    assert made.strategy == "calibrated_pool"
    assert {one.alpha for one in made.certificates} == {0.02}


def test_every_strategy_is_measured_under_the_subtasks_parameters() -> None:
    spec = kind_of(name="consensus", parameters={"tau": 0.9}).subtask("afford").strategy
    found = strategies_for(spec, ["cyd", "ann", "bob"])
    assert set(found) == set(STRATEGIES)
    assert found["consensus"] == {"tau": 0.9}
    assert found["lead_decides"] == {"lead": ["cyd", "ann", "bob"]}
    named = kind_of(name="lead_decides", parameters={"lead": "bob"}).subtask("afford").strategy
    assert strategies_for(named, ["cyd"])["lead_decides"] == {"lead": "bob"}


@pytest.mark.parametrize("certifying", [1, 45, 114, 230, 1999, 2000, 2001, 5000])
def test_so_many_cases_leave_enough_to_certify_with(certifying: int) -> None:
    cases = [Case(key=str(number), votes=(), right="approve") for number in range(cases_for(certifying))]
    assert len(split(cases, 0).certify) == certifying
    assert len(split(cases[2:], 0).certify) <= certifying


def _resolved(total: int, wrong: int) -> list[ResolvedRow]:
    return [
        row(number, unanimous("approve"), right="decline" if number < wrong else "approve") for number in range(total)
    ]


def test_too_few_cases_are_said() -> None:
    material = to_material(SEAT, _resolved(12, 0))
    assert not enough(material)
    report = describe(SEAT, material, None, stored=False)
    assert (report.cases, report.needed, report.certifies) == (12, cases_needed(SEAT.bound), False)
    assert "12 resolved cases" in report.words
    assert str(least_cases(0.05, 0.1)) in report.words


def test_enough_to_fit_and_not_to_certify() -> None:
    material = to_material(SEAT, _resolved(40, 0))
    made = calibrate(SEAT, material, seed=0)
    report = describe(SEAT, material, made, stored=False)
    own = certificate_of(made, own_rule(SEAT.subtask.strategy))
    assert own is not None
    assert own.threshold is None
    assert not report.certifies
    assert "everything goes to people" in report.words
    assert f"{report.needed - 40} more resolved cases" in report.words


def test_a_sure_panel_certifies() -> None:
    material = to_material(SEAT, _resolved(200, 0))
    made = calibrate(SEAT, material, seed=3)
    assert made.panel == {"ann": 2, "bob": 2, "cyd": 2}
    assert made.fit_cases + made.certify_cases + made.test_cases == 200
    assert {one.strategy for one in made.certificates} == set(made.figures)
    report = describe(SEAT, material, made, stored=True)
    assert report.certifies
    assert "may decide from a margin of 1" in report.words
    shown = as_markdown(report)
    for name in (
        "plurality *",
        "calibrated_pool",
        "lead_decides(lead=ann, bob, cyd)",
        "| cyd |",
        "stored as version 1",
    ):
        assert name in shown
    assert calibrate(SEAT, material, seed=3) == made


def test_a_panel_that_errs_does_not_certify_however_many_cases() -> None:
    material = to_material(SEAT, _resolved(300, 90))
    report = describe(SEAT, material, calibrate(SEAT, material, seed=0), stored=False)
    assert not report.certifies
    assert "errs too often" in report.words
    assert "a dry run" in "\n".join(lines(report))
