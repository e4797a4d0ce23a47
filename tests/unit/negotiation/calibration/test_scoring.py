"""Resolved cases scored through the strategies that decide."""

import pytest

from domain.task_type import StrategySpec
from negotiation.calibration.cases import BlindRound, Case
from negotiation.calibration.fit import fit_learned
from negotiation.calibration.scoring import score_cases
from negotiation.learned import Learned
from negotiation.strategies import rule_of
from negotiation.votes import Ballot, Veto, Vote

ABC = ("a", "b", "c")


def _case(right: str, *choices: str | None) -> Case:
    return Case(f"{right}{choices}", tuple(Vote(f"p{n}", option, 0.6, 0) for n, option in enumerate(choices)), right)


def test_plurality_leads_with_its_margin_and_share() -> None:
    (found,) = score_cases("plurality", {}, ABC, [_case("a", "a", "a", "b", None)], None)
    assert (found.leader, found.credit) == ("a", 1.0)
    assert found.score == pytest.approx(1 / 3)
    assert found.confidence == pytest.approx(2 / 3)


def test_a_tie_has_no_leader_no_score_and_the_credit_of_drawing_lots() -> None:
    inside, outside = score_cases("plurality", {}, ABC, [_case("a", "a", "b"), _case("c", "a", "b")], None)
    assert (inside.leader, inside.score, inside.credit) == (None, 0.0, 0.5)
    assert outside.credit == 0.0


def test_a_leader_whose_share_is_too_small_is_never_accepted() -> None:
    cases = [_case("a", "a", "a", "b", "c", "a"), _case("a", "a", "a", "b")]
    short, enough = score_cases("consensus", {"tau": "2/3"}, ABC, cases, None)
    assert (short.leader, short.score, short.credit) == ("a", 0.0, 1.0)
    assert enough.score > 0.0


def test_learned_strategies_state_their_posterior() -> None:
    cases = [_case("a" if n % 3 else "b", "a", "a" if n % 2 else "b", "b") for n in range(40)]
    unique = [Case(f"{n}", case.votes, case.right) for n, case in enumerate(cases)]
    learned = fit_learned(ABC, unique, 1)
    for name in ("log_odds", "calibrated_pool"):
        for found in score_cases(name, {}, ABC, unique, learned):
            assert found.leader is None or (found.score == found.confidence and 1 / 3 < found.score < 1)


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown strategy 'lots'"):
        score_cases("lots", {}, ABC, [], None)
    with pytest.raises(ValueError, match="log_odds: no calibration is active"):
        score_cases("log_odds", {}, ABC, [], None)
    with pytest.raises(ValueError, match="calibrated_pool: calibration 1 has no pool"):
        score_cases("calibrated_pool", {}, ABC, [], Learned(1, {}, 0.5))
    with pytest.raises(ValueError, match="tau"):
        score_cases("consensus", {"tau": 3}, ABC, [], None)


def _ruled(*choices: str | None, stake: float | None = None, widened: bool = False, veto: str | None = None) -> Case:
    plain = _case("a", *choices)
    vetoes = () if veto is None else (Veto("p0", veto),)
    ballot = Ballot(plain.votes, vetoes, (), ("p0", "p1", "p2", "p3"), 0)
    return Case(plain.key, plain.votes, plain.right, BlindRound(ballot, stake, widened))


@pytest.mark.parametrize(
    ("case", "rules"),
    [
        (_ruled("a", "a"), {"quorum": "2/3"}),
        (_ruled("a", None, None), {"min_casting": 2}),
        (_ruled("a", "a", "a", veto="a"), {}),
        (_ruled("a", "a", "b"), {"blocking_minority": "1/3"}),
        (_ruled("a", "a", "b"), {"escalate_below": 0.5}),
        (_ruled("a", "a", "a", stake=11.0), {"certify": {"stake_limit": 10.0}}),
        (_ruled("a", "a", "a"), {"certify": {"stake_limit": 10.0}}),
        (_ruled("a", "a", "a", widened=True), {}),
    ],
)
def test_what_the_rules_send_to_a_person_keeps_its_leader_and_scores_nothing(case: Case, rules: dict) -> None:
    spec = StrategySpec.model_validate({"name": "plurality", **rules})
    (free,) = score_cases("plurality", {}, ABC, [case], None)
    (held,) = score_cases("plurality", {}, ABC, [case], None, spec)
    assert (free.score > 0.0, held.score) == (True, 0.0)
    assert (held.leader, held.confidence, held.credit) == (free.leader, free.confidence, 1.0)
    sure = _ruled("a", "a", "a", "a", stake=10.0, veto="b")
    assert score_cases("plurality", {}, ABC, [sure], None, spec)[0].score == 1.0


def test_the_rules_are_not_those_of_one_strategy() -> None:
    spec = StrategySpec(name="calibrated_pool", quorum="3/4")
    few, enough = score_cases("consensus", {"tau": "1/2"}, ABC, [_ruled("a", "a"), _ruled("a", "a", "b")], None, spec)
    assert (few.score, enough.score) == (0.0, pytest.approx(1 / 3))
    with pytest.raises(ValueError, match="its votes alone are on record"):
        score_cases("plurality", {}, ABC, [_case("a", "a")], None, spec)


def test_a_rule_is_named_with_its_parameters() -> None:
    assert (rule_of("plurality", {}), rule_of("consensus", {"tau": "2/3"})) == ("plurality", "consensus(tau=0.6667)")
    with pytest.raises(ValueError, match="unknown strategy 'lots'"):
        rule_of("lots", {})
    with pytest.raises(ValueError, match="tau"):
        rule_of("consensus", {"tau": 3})
