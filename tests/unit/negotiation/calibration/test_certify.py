"""The certified threshold, with MAPIE's Learn-then-Test as an independent oracle."""

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapie.risk_control import BinaryClassificationController, BinaryRisk, precision
from numpy.typing import NDArray
from scipy.stats import binom

from domain.calibration import Certificate
from negotiation.calibration.cases import Scored
from negotiation.calibration.certify import (
    Start,
    Step,
    cases_needed,
    certify,
    fewest_to_certify,
    grid_of,
    least_cases,
    sequence,
    starts,
)
from negotiation.calibration.selective import selected

ALPHAS = (0.01, 0.02, 0.05, 0.1, 0.2)


def case(score: float, right: bool = True, leader: str | None = "approve") -> Scored:
    return Scored(leader=leader, score=score, confidence=score, credit=float(right))


def certified(scored: list[Scored], grid: list[float], alpha: float = 0.05, delta: float = 0.1) -> Certificate:
    return certify("log_odds", "posterior", grid, scored, alpha, delta)


def simulated(seed: int, size: int, digits: int | None = None) -> list[Scored]:
    """Scores in (0, 1) that say something of being right; `digits` rounds them, which makes ties."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(3.0, 1.0, size) if digits is None else np.round(rng.beta(3.0, 1.0, size), digits)
    right = rng.random(size) < 1.0 - 0.6 * (1.0 - scores)
    return [case(float(score), bool(hit)) for score, hit in zip(scores, right, strict=True)]


# How many cases


def test_the_least_cases_as_published() -> None:
    assert [least_cases(alpha, 0.1) for alpha in (0.05, 0.02, 0.01)] == [45, 114, 230]


@given(st.floats(0.002, 0.5), st.floats(0.01, 0.5))
def test_one_case_fewer_would_not_do(alpha: float, delta: float) -> None:
    least = least_cases(alpha, delta)
    assert (1 - alpha) ** least <= delta < (1 - alpha) ** (least - 1)


@given(st.integers(0, 40), st.sampled_from(ALPHAS), st.sampled_from((0.05, 0.1, 0.2)))
def test_so_many_errors_need_so_many_cases(errors: int, alpha: float, delta: float) -> None:
    needed = cases_needed(errors, alpha, delta)
    assert binom.cdf(errors, needed, alpha) <= delta < binom.cdf(errors, needed - 1, alpha)


@pytest.mark.parametrize(("alpha", "delta"), [(0.0, 0.1), (1.0, 0.1), (0.05, 0.0), (0.05, 1.0)])
def test_bounds_outside_0_and_1_are_refused(alpha: float, delta: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        least_cases(alpha, delta)


# The grid


def test_the_grid_holds_scores_that_were_seen_ascending_and_distinct() -> None:
    scores = [0.5, 0.0, 0.9, 0.5, 0.7, 0.0]
    assert grid_of(scores) == (0.5, 0.7, 0.9)
    assert grid_of([]) == grid_of([0.0, 0.0]) == ()


@given(st.lists(st.floats(0.0, 1.0), max_size=300), st.integers(2, 120))
def test_the_grid_spans_the_scores(scores: list[float], size: int) -> None:
    grid = grid_of(scores, size)
    positive = [score for score in scores if score > 0.0]
    assert set(grid) <= set(positive)
    assert len(grid) <= size
    assert list(grid) == sorted(set(grid))
    assert not positive or (grid[0], grid[-1]) == (min(positive), max(positive))


# The threshold


def test_a_cold_start_certifies_nothing_and_says_why() -> None:
    found = certified([], [])
    assert (found.threshold, found.cases, found.accepted, found.errors) == (None, 0, 0, 0)
    assert found.reason == (
        "nothing certifies 5 %: 0 of 0 certification cases could be accepted, and at least 45 without an error are "
        "needed (p = 1 at best, at most 0.1 certifies)"
    )


def test_44_cases_without_an_error_are_one_too_few() -> None:
    assert certified([case(0.9)] * 44, [0.9]).threshold is None
    assert certified([case(0.9)] * 45, [0.9]).threshold == 0.9


def test_a_failed_first_test_says_what_would_have_been_needed() -> None:
    found = certified([case(0.9)] * 57 + [case(0.9, False)] * 3, [0.9])
    assert found.threshold is None
    assert found.reason == (
        "nothing certifies 5 %: 3 errors in 60 of 60 certification cases at or above 0.9 (p = 0.647, at most 0.1 "
        "certifies); 132 cases with so many errors would be needed"
    )


def test_a_success_says_what_was_found() -> None:
    scored = [case(0.83)] * 128 + [case(0.83, False)] * 12 + [case(0.4, False)] * 60
    found = certified(scored, [0.83], alpha=0.2)
    assert (found.threshold, found.cases, found.accepted, found.errors) == (0.83, 200, 140, 12)
    assert found.reason == (
        "12 errors in 140 of 200 certification cases at or above 0.83: at most 20 % wrong with 90 % confidence"
    )


def test_the_last_that_held_is_kept_and_nothing_beyond_the_first_failure() -> None:
    """0.5 would pass by itself, but 0.7 fails before it."""
    scored = [case(0.9)] * 60 + [case(0.7, False)] * 5 + [case(0.5)] * 220
    grid = [0.5, 0.7, 0.9]
    assert [step.p_value <= 0.1 for step in all_steps((0.5, 0.7, 0.9), scored, 0.05)] == [True, False, True]
    assert certified(scored, grid).threshold == 0.9


def test_a_tie_is_never_accepted() -> None:
    tied = [case(0.9, leader=None)] * 200
    assert certified(tied, [0.9]).threshold is None
    assert certified([*tied, *[case(0.9)] * 45], [0.9]).accepted == 45


def test_a_score_of_0_is_never_accepted() -> None:
    """It stands for a leader whose share is too small."""
    assert certified([case(0.0)] * 500, [0.0]).threshold is None
    assert certified([case(0.0)] * 500 + [case(0.9)] * 44, [0.0, 0.9]).threshold is None


def test_scores_at_the_threshold_are_accepted_as_where_it_decides() -> None:
    score = 0.1 + 0.2
    assert certified([case(score)] * 45, [score]).accepted == 45
    assert certified([case(0.3)] * 45, [score]).threshold is None


@given(st.integers(0, 10_000), st.sampled_from((None, 2)), st.sampled_from(ALPHAS))
@settings(max_examples=60)
def test_the_certificate_counts_what_a_threshold_lets_through(seed: int, digits: int | None, alpha: float) -> None:
    scored = simulated(seed, 400, digits=digits)
    found = certified(scored, list(grid_of([one.score for one in simulated(seed + 1, 300)])), alpha)
    through = selected(scored, found.threshold)
    assert (found.accepted, found.errors) == (through.decided, through.errors)
    if found.threshold is not None:
        assert binom.cdf(found.errors, found.accepted, alpha) <= 0.1


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_order_of_cases_and_grid_does_not_matter(seed: int, random: Random) -> None:
    scored, grid = simulated(seed, 300, digits=2), list(grid_of([one.score for one in simulated(seed + 1, 300)]))
    before = certified(scored, grid, 0.1)
    random.shuffle(scored)
    random.shuffle(grid)
    assert certified(scored, grid, 0.1) == before


# Monotone in alpha


def looseness(found: Certificate) -> float:
    return -np.inf if found.threshold is None else -found.threshold


@given(
    st.lists(st.booleans(), min_size=1, max_size=600),
    st.sampled_from(ALPHAS),
    st.sampled_from(ALPHAS),
    st.sampled_from((0.05, 0.1, 0.2)),
)
@settings(max_examples=200)
def test_a_larger_alpha_never_gives_a_stricter_threshold(
    wrong: list[bool], one: float, other: float, delta: float
) -> None:
    """Where the grid takes cases in one at a time: whatever the labels are."""
    scored = [case(1.0 - place / 1000, not error) for place, error in enumerate(wrong)]
    grid = [each.score for each in scored]
    strict, loose = (certified(scored, grid, alpha, delta) for alpha in sorted((one, other)))
    assert looseness(strict) <= looseness(loose)


@given(
    st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=600),
    st.sampled_from(ALPHAS),
    st.sampled_from(ALPHAS),
)
@settings(max_examples=200)
def test_a_larger_alpha_is_never_stricter_from_the_same_start(
    found: list[tuple[int, bool]], one: float, other: float
) -> None:
    """Any ties and any grid, as long as both begin at the same threshold."""
    scored = [case(score / 20, not error) for score, error in found]
    grid = [score / 20 for score in range(1, 21)]
    low, high = sorted((one, other))
    starts = [sequence(grid, scored, alpha, 0.1)[:1] for alpha in (low, high)]
    strict, loose = certified(scored, grid, low), certified(scored, grid, high)
    if [step.threshold for step in starts[0]] == [step.threshold for step in starts[1]]:
        assert looseness(strict) <= looseness(loose)


def test_where_scores_come_in_lumps_a_smaller_alpha_may_begin_past_a_bad_lump() -> None:
    """The known exception: 1 error in the first 60 ends it for 5 %, while 2 % begins with all 240."""
    scored = [case(0.9)] * 59 + [case(0.9, False)] + [case(0.8)] * 180
    assert certified(scored, [0.8, 0.9], alpha=0.05).threshold is None
    assert certified(scored, [0.8, 0.9], alpha=0.02).threshold == 0.8


# Two starting points


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.02, 0.01, 0.005])
def test_the_fewest_cases_that_certify_do_and_one_fewer_does_not(alpha: float) -> None:
    fewest = fewest_to_certify(alpha, 0.1)
    assert certified([case(0.9)] * fewest, [0.9], alpha).threshold == 0.9
    assert certified([case(0.9)] * (fewest - 1), [0.9], alpha).threshold is None


def test_with_few_cases_there_is_one_start_at_the_whole_level() -> None:
    assert starts(299, 0.05, 0.1) == (Start(45, 0.1),)
    assert starts(299, 0.02, 0.1) == (Start(114, 0.1),)
    assert starts(299, 0.2, 0.1) == (Start(45, 0.1),)
    assert starts(20, 0.2, 0.1) == (Start(20, 0.1),)


@given(st.integers(300, 100_000), st.sampled_from(ALPHAS), st.sampled_from((0.05, 0.1, 0.2)))
def test_with_many_there_are_two_that_share_it(cases: int, alpha: float, delta: float) -> None:
    first, second = starts(cases, alpha, delta)
    assert first.accepted == max(45, least_cases(alpha, delta / 2))
    assert second.accepted == max(first.accepted, round(cases / 4))
    assert first.level + second.level == pytest.approx(delta, abs=1e-12)


def test_a_mislabelled_case_among_the_surest_ends_the_first_run_alone() -> None:
    scored = [case(0.95, place > 0) for place in range(60)] + [case(0.8)] * 240
    steps = sequence([0.95, 0.8], scored, 0.05, 0.1)
    assert [(step.threshold, step.level, step.held) for step in steps] == [(0.95, 0.05, False), (0.8, 0.05, True)]
    assert certified(scored, [0.95, 0.8]).threshold == 0.8


def test_a_run_that_still_holds_joins_the_next_start() -> None:
    scored = [case(0.95)] * 60 + [case(0.8)] * 240
    assert [step.level for step in sequence([0.95, 0.8], scored, 0.05, 0.1)] == [0.05, 0.1]


def test_a_run_that_failed_has_nothing_to_go_on_with() -> None:
    scored = [case(0.95, place > 9) for place in range(60)] + [case(0.9)] * 10 + [case(0.8)] * 230
    assert [step.threshold for step in sequence([0.95, 0.9, 0.8], scored, 0.05, 0.1)] == [0.95, 0.8]


@pytest.mark.parametrize("cases", [150, 400])
def test_nothing_is_certified_falsely_more_often_than_delta(cases: int) -> None:
    """Every threshold is wrong by a hair: whatever certifies does so falsely."""
    rng = np.random.default_rng(11)
    grid = [place / 50 for place in range(1, 51)]
    false = 0
    for _ in range(400):
        scores, right = rng.integers(1, 51, cases) / 50, rng.random(cases) >= 0.101
        drawn = [case(float(score), bool(hit)) for score, hit in zip(scores, right, strict=True)]
        false += certified(drawn, grid, 0.1).threshold is not None
    assert binom.cdf(false - 1, 400, 0.1) < 0.999


# MAPIE as an oracle


class Mistakes(BinaryRisk):
    """The share of wrong cases among the accepted, rounded down: MAPIE takes ceil(n share) for the number of errors,
    which is one too many where errors / n n comes out above errors (7 of 25 is the first)."""

    def __init__(self) -> None:
        super().__init__(lambda y_true, y_pred: y_pred != y_true, lambda y_true, y_pred: y_pred == 1, False)

    def get_value_and_effective_sample_size(self, y_true: Any, y_pred: Any) -> tuple[float, int]:
        share, accepted = super().get_value_and_effective_sample_size(y_true, y_pred)
        return float(np.nextafter(share, 0.0)), accepted


def oracle(
    scored: list[Scored], steps: tuple[Step, ...], alpha: float, risk: BinaryRisk
) -> tuple[NDArray[np.float64], list[float]]:
    """MAPIE's p-value for each threshold, and the thresholds that it finds valid, both from strict to loose."""
    scores = np.array([one.score for one in scored])
    controller = BinaryClassificationController(
        predict_function=lambda X: np.column_stack([1.0 - X[:, 0], X[:, 0]]),
        risk=risk,
        target_level=1.0 - alpha if risk is precision else alpha,
        confidence_level=0.9,
        best_predict_param_choice="recall",
        list_predict_params=np.array([step.threshold for step in steps]),
        fwer_method="fixed_sequence",
    )
    controller.calibrate(scores[:, None], np.array([int(one.credit) for one in scored]))
    assert controller.p_values is not None
    return controller.p_values.ravel(), controller.valid_predict_params.tolist()


def all_steps(grid: tuple[float, ...], scored: list[Scored], alpha: float) -> tuple[Step, ...]:
    """Every threshold from the first start on, also those behind a failure."""
    first = starts(len(scored), alpha, 0.1)[0].accepted
    found = []
    for threshold in sorted(grid, reverse=True):
        through = selected(scored, threshold)
        if through.decided >= first:
            p_value = float(binom.cdf(through.errors, through.decided, alpha))
            found.append(Step(threshold, through.decided, through.errors, p_value, 0.1))
    return tuple(found)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("digits", [None, 2])
@pytest.mark.parametrize("seed", range(8))
def test_mapie_finds_the_same_p_values_and_the_same_threshold(seed: int, digits: int | None, alpha: float) -> None:
    """With one start, which is fixed-sequence testing as MAPIE has it."""
    scored = simulated(seed, 299, digits=digits)
    grid = grid_of([one.score for one in simulated(seed + 100, 400, digits=digits)])
    steps = all_steps(grid, scored, alpha)
    p_values, valid = oracle(scored, steps, alpha, Mistakes())
    np.testing.assert_allclose(p_values, [step.p_value for step in steps], rtol=0, atol=1e-9)
    assert certified(scored, list(grid), alpha).threshold == (valid[-1] if valid else None)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("seed", range(8))
def test_with_two_starts_mapies_p_values_give_the_same_threshold(seed: int, alpha: float) -> None:
    """The fallback procedure written out once more, on MAPIE's p-values."""
    scored = simulated(seed, 600)
    grid = grid_of([one.score for one in simulated(seed + 100, 400)])
    steps = all_steps(grid, scored, alpha)
    p_values, _ = oracle(scored, steps, alpha, Mistakes())
    second = next((place for place, step in enumerate(steps) if step.accepted >= 150), len(steps))
    level, kept = 0.05, None
    for place, (step, p_value) in enumerate(zip(steps, p_values, strict=True)):
        level += 0.05 if place == second else 0.0
        kept, level = (step.threshold, level) if level and p_value <= level else (kept, 0.0)
    assert certified(scored, list(grid), alpha).threshold == kept


def test_mapie_agrees_both_where_something_certifies_and_where_nothing_does() -> None:
    grids = [list(grid_of([one.score for one in simulated(seed + 100, 400)])) for seed in range(8)]
    found = [certified(simulated(seed, 299), grid, alpha) for seed, grid in enumerate(grids) for alpha in ALPHAS[2:]]
    assert 6 <= sum(one.threshold is not None for one in found) <= 18


@pytest.mark.parametrize("seed", range(6))
def test_mapies_precision_counts_an_error_too_many_at_most(seed: int) -> None:
    """ceil(n (1 - precision)) rounds up where 1 - precision is not exact; where it is, both agree to 1e-9."""
    scored = simulated(seed, 500)
    steps = all_steps(grid_of([one.score for one in simulated(seed + 100, 400)]), scored, 0.1)
    p_values, _ = oracle(scored, steps, 0.1, precision)
    exact = 0
    for step, p_value in zip(steps, p_values, strict=True):
        rounded = binom.cdf(step.errors + 1, step.accepted, 0.1)
        same = abs(p_value - step.p_value) <= 1e-9
        exact += same
        assert same or step.p_value < p_value <= rounded + 1e-9
    assert exact >= len(steps) / 3
