"""Resolved cases scored through the strategies that decide."""

import pytest

from negotiation.calibration.cases import Case
from negotiation.calibration.fit import fit_learned
from negotiation.calibration.scoring import score_cases
from negotiation.learned import Learned
from negotiation.votes import Vote

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
