"""Shrunk hit rates and how far stated confidence is from them."""

import numpy as np
import pytest

from negotiation.calibration.cases import Case
from negotiation.calibration.reliability import PRIOR_CASES, likely_strength, reliabilities
from negotiation.votes import Vote


def _case(key: str, right: str, *votes: tuple[str, str | None, float]) -> Case:
    return Case(key, tuple(Vote(persona, option, confidence, 0) for persona, option, confidence in votes), right)


def test_rates_are_shrunk_towards_the_panels_mean() -> None:
    cases = [_case(str(n), "a", ("ann", "a", 0.9), ("bob", "b" if n < 2 else "a", 0.5)) for n in range(4)]
    records = reliabilities(cases, 3)
    assert records.mean_rate == pytest.approx(6 / 8)
    assert records.by_persona["ann"].rate == pytest.approx((4 + 4 * 0.75) / (4 + 4))
    assert records.by_persona["bob"].rate == pytest.approx((2 + 4 * 0.75) / (4 + 4))
    assert reliabilities(cases, 3, m=0.0).by_persona["bob"].rate == pytest.approx(0.5)


def test_an_abstention_is_no_case_of_a_persona() -> None:
    cases = [_case("1", "a", ("ann", None, 0.9), ("bob", "a", 0.5)), _case("2", "a", ("ann", "b", 0.9))]
    found = reliabilities(cases, 2).by_persona["ann"]
    assert (found.cases, found.hits) == (1, 0)


def test_rates_stay_away_from_certainty() -> None:
    cases = [_case(str(n), "a", ("ann", "a", 1.0), ("bob", "b", 0.0)) for n in range(1000)]
    found = reliabilities(cases, 2).by_persona
    assert (found["ann"].rate, found["bob"].rate) == (0.99, 0.01)
    assert reliabilities([_case("1", "a", ("ann", "a", 1.0))], 2).mean_rate == 0.99


@pytest.mark.parametrize(("hits", "below"), [(0, True), (6, True), (14, False)])
def test_below_chance_is_a_shrunk_rate_under_one_in_k(hits: int, below: bool) -> None:
    cases = [
        _case(str(n), "a", ("ann", "a" if n < hits else "b", 0.5), ("bob", "a" if n % 2 else "c", 0.5))
        for n in range(40)
    ]
    assert reliabilities(cases, 4).by_persona["ann"].below_chance is below


def test_stated_confidence_is_held_against_the_hit_rate() -> None:
    cases = [
        _case(str(n), "a", ("bold", "a" if n % 2 else "b", 0.99), ("honest", "a" if n % 2 else "b", 0.5))
        for n in range(10)
    ]
    found = reliabilities(cases, 2).by_persona
    assert found["bold"].stated == pytest.approx(0.99)
    assert found["bold"].calibration_error == pytest.approx(0.49)
    assert found["honest"].calibration_error == pytest.approx(0.0)


def test_confidences_that_err_both_ways_do_not_cancel() -> None:
    cases = [_case(str(n), "a", ("ann", "a" if n % 2 else "b", 0.1 if n % 2 else 0.9)) for n in range(10)]
    assert reliabilities(cases, 2).by_persona["ann"].calibration_error == pytest.approx(0.9)


def test_without_a_vote_there_is_no_record() -> None:
    with pytest.raises(ValueError, match="no resolved case holds a vote"):
        reliabilities([], 2)
    with pytest.raises(ValueError, match="no resolved case holds a vote"):
        reliabilities([_case("1", "a", ("ann", None, 0.5))], 2)
    with pytest.raises(ValueError, match="at least 2"):
        reliabilities([_case("1", "a", ("ann", "a", 0.5))], 1)


def test_records_that_differ_by_chance_alone_are_shrunk_all_the_way() -> None:
    rng = np.random.default_rng(2)
    cases = np.full(300, 10)
    alike, apart = rng.binomial(10, 0.6, 300), rng.binomial(10, rng.beta(3, 2, 300))
    assert likely_strength(alike, cases, alike.mean() / 10) >= 64
    assert likely_strength(apart, cases, apart.mean() / 10) <= 8


def test_a_panel_is_never_shrunk_less_than_the_prior_asks_for() -> None:
    assert likely_strength(np.array([0, 100]), np.array([100, 100]), 0.5) == PRIOR_CASES
