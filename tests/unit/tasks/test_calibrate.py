"""From resolved tasks to cases, strategies and a calibration."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calibration import Certificate, Pool, PoolWeight
from domain.errors import InputError
from domain.persona import Persona
from domain.proposal import Evidence, Option, Proposal
from domain.task_type import TaskType
from negotiation.calibration.cases import Case
from negotiation.calibration.certify import least_cases
from negotiation.calibration.fit import split
from negotiation.calibration.scoring import LEAST_THRESHOLD, score_cases
from negotiation.calibration.selective import selected
from negotiation.conclusion import conclude, floor_of
from negotiation.learned import Learned
from negotiation.options import declared_options
from negotiation.settle import Terms
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
from tasks.learning import mismatch

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


def row(
    number: int,
    *rounds: tuple[Proposal, ...],
    right: str = "approve",
    key: str | None = None,
    known: float = 0.5,
    stake: float | None = None,
) -> ResolvedRow:
    """`known`: hours from the decision to the first outcome of its case."""
    at = START + timedelta(hours=number)
    return ResolvedRow.model_construct(
        task_id=f"task-{number:04}",
        case_key=key,
        type_version=1,
        right_action=right,
        created_at=at,
        decided_at=at,
        recorded_at=at + timedelta(hours=abs(known)),
        known_at=at + timedelta(hours=known),
        stake=stake,
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
        row(8, unanimous("decline"), key="known", known=-0.5),
        row(9, unanimous("decline"), key="same", known=-5),
    ]
    found = to_material(SEAT, rows)
    assert found.left_out == LeftOut(other_panel=2, undeclared=1, repeated=1, answered=2, unvoted=2)
    assert found.left_out.total == 8
    assert [case.key for case in found.cases] == ["same"]
    assert {one.option for one in found.cases[0].votes} == {"approve"}, "the first decision of a case counts"
    assert found.first_at == found.last_at == START + timedelta(hours=4)
    shown = "\n".join(lines(describe(SEAT, found, None, stored=False)))
    assert "1 (the same case, decided before), 2 (decided when an outcome of the same case was known)" in shown


def test_what_a_panel_decided_once_its_answer_was_known_teaches_nothing() -> None:
    # The first decision is another panel's; the second one's panel may have been told by what is recalled.
    other = (vote("ann", "decline", persona_version=1), vote("bob", "decline"))
    rows = [row(1, other, key="k", known=1), row(3, unanimous("approve"), key="k", known=-1)]
    found = to_material(SEAT, rows)
    assert (found.cases, found.left_out) == ((), LeftOut(other_panel=1, answered=1))
    # Before it was known, it is a decision like any other.
    rows[1] = row(3, unanimous("approve"), key="k", known=1)
    assert len(to_material(SEAT, rows).cases) == 1


def test_a_case_holds_what_the_rules_read() -> None:
    option = Option(name="approve 36 months", action="approve", arguments={"months": 36})
    wide = (vote("ann", "approve", counter=option), vote("bob", "approve"))
    evidence = (Evidence(id="field:a"),)
    against = (vote("ann", "approve", evidence=evidence, veto="approve"), *unanimous("approve")[1:])
    widened, vetoed = to_material(SEAT, [row(1, wide, stake=12.5), row(2, against)]).cases
    assert widened.blind is not None
    assert (widened.blind.widened, widened.blind.stake) == (True, 12.5)
    assert (len(widened.blind.ballot.votes), widened.blind.ballot.eligible) == (2, PANEL)
    assert vetoed.blind is not None
    assert (vetoed.blind.widened, vetoed.blind.stake) == (False, None)
    assert [one.option for one in vetoed.blind.ballot.vetoes] == ["approve"]
    assert vetoed.blind.ballot.votes == vetoed.votes


@pytest.mark.parametrize(
    ("strategy", "certifies"),
    [
        ({}, True),
        ({"blocking_minority": "1/3"}, False),
        ({"escalate_below": 0.5}, False),
        ({"min_casting": 4}, False),
        ({"certify": {"stake_limit": 99}}, False),
        ({"certify": {"stake_limit": 100}}, True),
    ],
)
def test_what_the_rules_send_to_a_person_certifies_nothing(strategy: dict[str, Any], certifies: bool) -> None:
    seat = seat_of(kind_of(**{"certify": {}, **strategy}), PERSONAS, None)
    blind = (vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "decline"))
    made = calibrate(seat, to_material(seat, [row(number, blind, stake=100.0) for number in range(200)]), seed=0)
    own = certificate_of(made, "plurality")
    assert own is not None
    assert (own.threshold is not None, own.accepted > 0) == (certifies, certifies)
    assert made.figures["plurality"]["accuracy"] == 1.0, "how well it counts is another matter"
    assert made.figures["plurality"]["certified_coverage"] == float(certifies)


PARAMETERS: dict[str, dict[str, Any]] = {"lead_decides": {"lead": ["bob", "ann"]}}
FRACTIONS = st.sampled_from(["1/5", "1/2", "2/3", "1/1"])


@st.composite
def blind_rounds(draw: st.DrawFn) -> tuple[Proposal, ...]:
    """Of some of the panel: votes, vetoes with and without grounds, counter-proposals."""
    counters = st.sampled_from(
        [
            None,
            None,
            Option(name="approve 36", action="approve", arguments={"months": 36}),
            Option(name="refer", action="refer", arguments={"to": "x"}),
        ]
    )
    said = st.sampled_from(["approve", "approve", "decline", None])
    return tuple(
        vote(
            persona,
            draw(said),
            confidence=draw(st.floats(0.0, 1.0)),
            veto=draw(st.sampled_from([None, None, None, "approve", "decline"])),
            evidence=draw(st.sampled_from([(), (Evidence(id="field:a"),)])),
            counter=draw(counters),
        )
        for persona in sorted(draw(st.sets(st.sampled_from(PANEL), min_size=1)))
    )


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """A strategy's configuration with all that can send a case to a person."""
    certify = {"stake_limit": draw(st.sampled_from([None, 0.0, 100.0])), "alpha": draw(st.sampled_from([0.05, 0.2]))}
    name = draw(st.sampled_from(sorted(STRATEGIES)))
    return {
        "name": name,
        "parameters": PARAMETERS.get(name, {}),
        "quorum": draw(FRACTIONS),
        "min_casting": draw(st.integers(1, 3)),
        "blocking_minority": draw(st.none() | FRACTIONS),
        "escalate_below": draw(st.sampled_from([0.0, 0.3, 0.9])),
        "certify": certify,
    }


LEARNED = Learned(
    version=1,
    rates={"ann": 0.9, "bob": 0.6},
    mean_rate=0.7,
    pool=Pool(
        weights={"ann": PoolWeight(base=2.0, slope=0.5, centre=0.0)},
        stranger=PoolWeight(base=1.0, slope=0.2, centre=0.1),
        scale=0.8,
        ridge=1.0,
        cases=50,
    ),
)


@settings(max_examples=400, deadline=None)
@given(
    blind=blind_rounds(),
    given_rules=rules(),
    stake=st.sampled_from([None, 0.0, 100.0, 101.0]),
    at=st.sampled_from([LEAST_THRESHOLD, 0.2, 0.5, 0.75, 1.0]) | st.floats(0.0, 1.0, exclude_min=True),
)
def test_what_calibrating_accepts_is_what_would_be_decided(
    blind: tuple[Proposal, ...], given_rules: dict[str, Any], stake: float | None, at: float
) -> None:
    seat = seat_of(kind_of(**given_rules), PERSONAS, None)
    spec = seat.subtask.strategy
    (case,) = to_material(seat, [row(1, blind, unanimous("decline"), stake=stake)]).cases
    (scored,) = score_cases(spec.name, spec.parameters, seat.options, [case], LEARNED, spec)
    for threshold in {at, scored.score} - {0.0}:
        certificate = Certificate(
            strategy=own_rule(spec),
            measure=STRATEGIES[spec.name].measure,
            alpha=seat.bound.alpha,
            delta=seat.bound.delta,
            threshold=threshold,
            cases=100,
            reason="drawn",
        )
        terms = Terms(replace(LEARNED, certificates={certificate.strategy: certificate}), stake)
        floor = floor_of(seat.subtask, declared_options(seat.subtask), PANEL, [blind], overdue=False)
        ended = conclude(spec, floor, terms)
        decided = ended.step.go == "decided"
        assert (selected([scored], threshold).decided == 1) == decided
        assert not decided or (ended.result.option, ended.result.score) == (scored.leader, scored.score)


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
    assert mismatch(made, made.panel, SEAT.subtask) is None


def test_a_panel_that_errs_does_not_certify_however_many_cases() -> None:
    material = to_material(SEAT, _resolved(300, 90))
    report = describe(SEAT, material, calibrate(SEAT, material, seed=0), stored=False)
    assert not report.certifies
    assert "errs too often" in report.words
    assert "a dry run" in "\n".join(lines(report))
