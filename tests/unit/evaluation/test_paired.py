"""Paired statistics against values worked out by hand, and scipy as an oracle."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from evaluation.paired import bca, holm, mcnemar, paired_difference


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [
        (0, 0, 1.0),
        (1, 1, 1.0),
        (5, 0, 2 / 32),
        (1, 9, 2 * (1 + 10) / 1024),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
    ],
)
def test_mcnemar_by_hand(wins: int, losses: int, p: float) -> None:
    assert mcnemar(wins, losses) == pytest.approx(p, abs=1e-12)
    assert mcnemar(losses, wins) == mcnemar(wins, losses)


def test_holm_by_hand() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    # Ascending: d 4 x 0.005, a 3 x 0.01, c 2 x 0.03, b 1 x 0.04 but not below c's.
    assert adjusted == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_a_difference_counts_pairs() -> None:
    first = [True, True, True, False, False]
    second = [True, False, False, True, False]
    found = paired_difference(first, second, seed=0)
    assert found is not None
    assert (found.n, found.wins, found.losses, found.value) == (5, 2, 1, pytest.approx(0.2))
    assert found.low < found.value < found.high
    assert found.p == 1.0


def test_nothing_to_compare() -> None:
    assert paired_difference([], [], seed=0) is None
    with pytest.raises(ValueError, match="shorter"):
        paired_difference([True], [], seed=0)


@pytest.mark.parametrize(("wins", "losses", "n"), [(0, 0, 7), (7, 0, 7), (0, 7, 7), (1, 0, 1)])
def test_where_all_pairs_agree_the_interval_is_the_point(wins: int, losses: int, n: int) -> None:
    assert bca(wins, losses, n, seed=0) == ((wins - losses) / n,) * 2


def test_the_seed_settles_the_interval() -> None:
    assert bca(30, 12, 200, seed=3) == bca(30, 12, 200, seed=3)
    assert bca(3000, 1200, 20_000, seed=3) != bca(3000, 1200, 20_000, seed=4)


@pytest.mark.parametrize(("wins", "losses", "n"), [(30, 12, 200), (9, 1, 60), (2, 40, 90), (60, 60, 150)])
def test_the_interval_is_that_of_scipy(wins: int, losses: int, n: int) -> None:
    first = np.array([1] * wins + [0] * losses + [1] * (n - wins - losses), dtype=float)
    second = np.array([0] * wins + [1] * losses + [1] * (n - wins - losses), dtype=float)

    def difference(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(one, axis=axis) - np.mean(other, axis=axis)

    theirs = bootstrap(
        (first, second), difference, paired=True, vectorized=True, n_resamples=9_999, rng=np.random.default_rng(1)
    ).confidence_interval
    # Two resamplings differ by a few pairs at the ends.
    assert bca(wins, losses, n, seed=1) == pytest.approx((theirs.low, theirs.high), abs=2.5 / n)


def test_the_interval_leans_with_the_skew() -> None:
    low, high = bca(9, 1, 60, seed=0)
    assert high - 8 / 60 > 0
    assert low > 0.0 > low - 0.1
    mirrored = bca(1, 9, 60, seed=0)
    assert mirrored == pytest.approx((-high, -low), abs=2 / 60)
