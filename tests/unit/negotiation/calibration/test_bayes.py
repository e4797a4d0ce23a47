"""On an independent panel log_odds decides as well as anything can: the exact Bayes limit."""

from itertools import product
from math import fsum, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negotiation.calibration.cases import credit
from negotiation.calibration.simulated import exact_bayes
from negotiation.learned import Learned
from negotiation.strategies import STRATEGIES
from negotiation.votes import Vote


def exact_accuracy(strategy: str, rates: list[float], options: int) -> float:
    """The strategy's own count of every vote vector, each with its probability under every truth."""
    names = [f"option_{number}" for number in range(options)]
    personas = [f"persona_{number:02d}" for number in range(len(rates))]
    learned = Learned(version=1, rates=dict(zip(personas, rates, strict=True)), mean_rate=0.5)
    rule = STRATEGIES[strategy]
    worth = []
    for choices in product(names, repeat=len(rates)):
        votes = [Vote(persona, choice, 0.5, 0) for persona, choice in zip(personas, choices, strict=True)]
        count = rule.count(votes, names, rule.Parameters(), learned)
        for right in names:
            chance = prod(
                rate if choice == right else (1 - rate) / (options - 1)
                for rate, choice in zip(rates, choices, strict=True)
            )
            worth.append(chance / options * credit(right, count.leader, count.level))
    return fsum(worth)


def draw_rates(seed: int, size: int, options: int) -> list[float]:
    return np.random.default_rng(seed).uniform(1 / options, 0.97, size).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("size", "options"), [(1, 2), (2, 2), (3, 2), (5, 2), (9, 2), (3, 3), (5, 3), (4, 4), (3, 6)])
@pytest.mark.parametrize("seed", range(3))
def test_log_odds_reaches_the_bayes_limit(seed: int, size: int, options: int) -> None:
    rates = draw_rates(seed, size, options)
    assert exact_accuracy("log_odds", rates, options) == pytest.approx(exact_bayes(rates, options), abs=1e-6)


@given(st.lists(st.sampled_from((0.5, 0.6, 0.7, 0.8, 0.9)), min_size=1, max_size=5), st.sampled_from((2, 3)))
@settings(max_examples=25, deadline=None)
def test_equal_personas_tie_and_ties_are_worth_their_share(rates: list[float], options: int) -> None:
    assert exact_accuracy("log_odds", rates, options) == pytest.approx(exact_bayes(rates, options), abs=1e-6)


def test_no_rule_is_better_and_plurality_is_worse() -> None:
    rates = [0.95, 0.6, 0.55, 0.55, 0.6]
    limit = exact_bayes(rates, 2)
    assert exact_accuracy("plurality", rates, 2) < limit - 0.1


def test_a_persona_below_chance_is_left_out_and_not_inverted() -> None:
    """Bayes' rule would turn its vote round; the strategy gives that up on purpose."""
    rates = [0.8, 0.7, 0.1]
    assert exact_accuracy("log_odds", rates, 2) == pytest.approx(exact_bayes(rates[:2], 2), abs=1e-6)
    assert exact_accuracy("log_odds", rates, 2) < exact_bayes(rates, 2) - 0.01


def test_the_limit_by_hand() -> None:
    assert exact_bayes([0.8], 2) == pytest.approx(0.8)
    assert exact_bayes([0.8, 0.6], 2) == pytest.approx(0.8)
    assert exact_bayes([0.7, 0.7, 0.7], 2) == pytest.approx(0.7**3 + 3 * 0.7**2 * 0.3)
    assert exact_bayes([1 / 3, 1 / 3], 3) == pytest.approx(1 / 3)


def test_too_many_vote_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        exact_bayes([0.7] * 30, 2)
