from collections.abc import Callable
from random import Random
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, auc, roc_auc_score

from negotiation.calibration.cases import Scored
from negotiation.calibration.selective import (
    Selected,
    accuracy,
    augrc,
    aurc,
    calibration_error,
    coverage_at,
    selected,
)


def case(score: float, credit: float, leader: str | None = "approve", confidence: float | None = None) -> Scored:
    return Scored(leader, score, score if confidence is None else confidence, credit)


def cases_of(digits: int, least: int = 1) -> st.SearchStrategy[list[Scored]]:
    """Decided right or wrong, or tied with a credit of 0, 1/2 or 1/3; `digits` of the score make ties."""
    score = st.floats(0.001, 1.0).map(lambda value: round(value, digits) or 0.1)
    decided = st.builds(case, score, st.sampled_from((0.0, 1.0)))
    tied = st.builds(lambda credit: case(0.0, credit, None, 0.4), st.sampled_from((0.0, 1 / 2, 1 / 3)))
    return st.lists(st.one_of(decided, decided, tied), min_size=least, max_size=60)


MIXED = [case(0.9, 1.0), case(0.8, 0.0), case(0.7, 1.0), case(0.0, 0.5, None)]
"""Losses in order 0, 1, 0, 1/2."""


# By hand


def test_accuracy_by_hand() -> None:
    assert accuracy(MIXED) == pytest.approx(2.5 / 4)


def test_aurc_by_hand() -> None:
    assert aurc(MIXED) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1.5 / 4) / 4)


def test_aurc_shares_the_losses_of_equal_scores() -> None:
    assert aurc([case(0.9, 1.0), case(0.5, 0.0), case(0.5, 1.0)]) == pytest.approx((0 + 0.25 + 1 / 3) / 3)


def test_augrc_by_hand() -> None:
    """G = 0, 0, 1/4, 1/4, 3/8: four trapezoids of width 1/4."""
    assert augrc(MIXED) == pytest.approx((0 + 1 / 8 + 1 / 4 + 5 / 16) / 4)


def test_coverage_by_hand() -> None:
    scored = [*[case(0.9, 1.0)] * 8, case(0.8, 0.0), case(0.8, 1.0), case(0.5, 0.0), case(0.0, 0.5, None)]
    assert coverage_at(scored, 0.0) == pytest.approx(8 / 12)
    assert coverage_at(scored, 0.1) == pytest.approx(10 / 12)
    assert coverage_at(scored, 0.05) == pytest.approx(8 / 12)
    assert coverage_at(scored, 1.0) == pytest.approx(11 / 12)


def test_coverage_returns_after_an_early_error() -> None:
    scored = [case(0.99, 0.0), *[case(0.5, 1.0)] * 99]
    assert coverage_at(scored, 0.01) == 1.0
    assert coverage_at(scored, 0.009) == 0.0


def test_calibration_error_by_hand() -> None:
    scored = [case(0.6, 1.0), case(0.6, 0.0), case(0.9, 1.0), case(0.8, 0.0)]
    assert calibration_error(scored, bins=2) == pytest.approx((2 * abs(0.6 - 0.5) + 2 * abs(0.85 - 0.5)) / 4)
    assert calibration_error(scored, bins=1) == pytest.approx(abs(2.9 / 4 - 0.5))


def test_a_threshold_takes_scores_equal_to_it_and_no_tie() -> None:
    assert selected(MIXED, 0.8) == Selected(coverage=0.5, error=0.5, decided=2, errors=1)
    assert selected(MIXED, 0.0) == Selected(coverage=0.75, error=1 / 3, decided=3, errors=1)
    assert selected(MIXED, None) == selected(MIXED, 0.95) == selected([], 0.5) == Selected(0.0, 0.0, 0, 0)


@pytest.mark.parametrize("figure", [accuracy, aurc, augrc, calibration_error])
def test_nothing_is_measured_on_no_cases(figure: Callable[[list[Scored]], float]) -> None:
    with pytest.raises(ValueError, match="no cases"):
        figure([])


def test_without_a_leader_nothing_is_covered() -> None:
    tied = [case(0.0, 0.5, None)] * 5
    assert coverage_at(tied, 1.0) == coverage_at([], 1.0) == 0.0
    assert coverage_at([case(0.0, 1.0)], 1.0) == 0.0


# Properties


@given(cases_of(1), st.randoms(use_true_random=False))
def test_the_order_of_cases_never_shows(scored: list[Scored], random: Random) -> None:
    def figures() -> tuple[float, ...]:
        covered = tuple(coverage_at(scored, error) for error in (0.0, 0.02, 0.05, 0.3))
        return (aurc(scored), augrc(scored), *covered)

    before, confident = figures(), calibration_error(scored, 4)
    random.shuffle(scored)
    assert figures() == before
    assert calibration_error(scored, 4) == pytest.approx(confident, abs=1e-12)


@given(cases_of(2))
def test_bounds(scored: list[Scored]) -> None:
    error = 1.0 - accuracy(scored)
    assert 0.0 <= aurc(scored) <= 1.0
    assert error**2 / 2 - 1e-9 <= augrc(scored) <= error - error**2 / 2 + 1e-9
    assert 0.0 <= calibration_error(scored) <= 1.0
    assert 0.0 <= coverage_at(scored, 0.05) <= coverage_at(scored, 0.1) <= 1.0


@given(cases_of(1))
@settings(max_examples=25)
def test_equal_scores_count_as_the_mean_over_their_orders(scored: list[Scored]) -> None:
    """Brute force: the textbook areas of randomly broken ties, averaged."""
    rng = np.random.default_rng(7)
    scores = np.array([one.score if one.decided else -1.0 for one in scored])
    losses = np.array([1.0 - one.credit for one in scored])
    n, runs = len(scored), 3000
    order = np.lexsort((rng.random((runs, n)), np.broadcast_to(-scores, (runs, n))), axis=1)
    lost = np.cumsum(losses[order], axis=1)
    joint = np.concatenate([np.zeros((runs, 1)), lost / n], axis=1)
    rough = (lost / np.arange(1, n + 1)).mean(), np.trapezoid(joint, dx=1 / n, axis=1).mean()
    assert (aurc(scored), augrc(scored)) == (pytest.approx(rough[0], abs=0.02), pytest.approx(rough[1], abs=0.02))


@given(cases_of(1))
def test_coverage_is_the_best_of_all_thresholds(scored: list[Scored]) -> None:
    for error in (0.0, 0.05, 0.25, 0.5):
        tried = [selected(scored, one.score) for one in scored if one.decided]
        best = max((found.coverage for found in tried if found.error <= error), default=0.0)
        assert coverage_at(scored, error) == pytest.approx(best)


# scikit-learn


def decided(seed: int, digits: int) -> tuple[list[Scored], np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    scores = np.round(rng.uniform(0.3, 1.0, 500), digits)
    right = rng.random(500) < scores
    return [case(float(a), float(b)) for a, b in zip(scores, right, strict=True)], scores, right


@pytest.mark.parametrize("digits", [1, 2, 9])
def test_augrc_is_what_the_auroc_says(digits: int) -> None:
    """Traub et al., equation 6: (1 - AUROC) acc (1 - acc) + (1 - acc)^2 / 2; scikit-learn halves ties as well."""
    scored, scores, right = decided(3, digits)
    acc = accuracy_score(np.ones_like(right), right)
    expected = (1 - roc_auc_score(right, scores)) * acc * (1 - acc) + (1 - acc) ** 2 / 2
    assert accuracy(scored) == pytest.approx(acc)
    assert augrc(scored) == pytest.approx(expected, abs=1e-12)


def test_augrc_is_the_area_under_the_joint_risk() -> None:
    scored, scores, right = decided(4, 9)
    joint = np.append(0.0, np.cumsum(~right[np.argsort(-scores)]) / 500)
    assert augrc(scored) == pytest.approx(auc(np.linspace(0, 1, 501), joint), abs=1e-12)


def test_calibration_error_has_scikit_learns_bins() -> None:
    scored, scores, right = decided(5, 9)
    seen, said = calibration_curve(right, scores, n_bins=10, strategy="quantile")
    assert calibration_error(scored, bins=10) == pytest.approx(np.abs(seen - said).mean(), abs=0.003)


def test_six_thousand_cases_take_no_time() -> None:
    rng = np.random.default_rng(1)
    scored = [case(float(a), float(b)) for a, b in zip(rng.random(6000), rng.random(6000) < 0.8, strict=True)]
    start = perf_counter()
    for _ in range(5):
        aurc(scored), augrc(scored), coverage_at(scored, 0.05), calibration_error(scored)
    assert (perf_counter() - start) / 5 < 0.1
