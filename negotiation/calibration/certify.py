"""The certified threshold: Learn-then-Test with fixed-sequence testing (Angelopoulos et al., arXiv 2110.01052)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from domain.calibration import Certificate
from negotiation.calibration.cases import Scored


@dataclass(frozen=True, slots=True)
class Step:
    """What the certification cases say of one threshold."""

    threshold: float
    accepted: int
    """Cases with a leader whose score is at least the threshold."""
    errors: int
    """Of the accepted ones."""
    p_value: float
    """BinomCDF(errors; accepted, alpha): how likely so few errors would be if more than alpha were wrong."""


def least_cases(alpha: float, delta: float) -> int:
    """How many error-free cases certify alpha at confidence 1 - delta: the least n with (1 - alpha)^n <= delta."""
    _check(alpha, delta)
    found = ceil(log(delta) / log(1.0 - alpha))
    return found if (1.0 - alpha) ** found <= delta else found + 1


def cases_needed(errors: int, alpha: float, delta: float) -> int:
    """How many cases would certify alpha with so many errors: the least n with BinomCDF(errors; n, alpha) <= delta."""
    low, high = errors, max(least_cases(alpha, delta), 2 * errors + 1)
    while binom.cdf(errors, high, alpha) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binom.cdf(errors, middle, alpha) > delta else (low, middle)
    return high


def grid_of(scores: Sequence[float], size: int = 100) -> tuple[float, ...]:
    """Thresholds to try: `size` evenly spaced quantiles of the scores, ascending and distinct.

    Each one is a score that was seen. It takes no labels, and scores of cases that are not certified on. A score of 0
    stands for "no leader" or "never accepted", so 0 is never a threshold.
    """
    seen = np.asarray([score for score in scores if score > 0.0], dtype=np.float64)
    if seen.size == 0:
        return ()
    return tuple(np.unique(np.quantile(seen, np.linspace(0.0, 1.0, size), method="inverted_cdf")).tolist())


def sequence(grid: Sequence[float], scored: Sequence[Scored], alpha: float, delta: float) -> tuple[Step, ...]:
    """The hypotheses in the order of their tests: from the strictest threshold that can be certified to the loosest.

    The start depends on scores alone: the strictest threshold that accepts at least `least_cases` cases, since no
    stricter one could be certified even without an error.
    """
    least = least_cases(alpha, delta)
    thresholds = np.unique(np.asarray([one for one in grid if one > 0.0], dtype=np.float64))[::-1]
    accepted, errors = _counts(thresholds, scored)
    p_values = binom.cdf(errors, accepted, alpha)
    return tuple(
        Step(float(threshold), int(n), int(wrong), float(p_value))
        for threshold, n, wrong, p_value in zip(thresholds, accepted, errors, p_values, strict=True)
        if n >= least
    )


def certify(
    rule: str, measure: str, grid: Sequence[float], scored: Sequence[Scored], alpha: float, delta: float
) -> Certificate:
    """The loosest threshold that held.

    Where cases are exchangeable, with probability 1 - delta at most a share alpha of the cases with a score of at
    least the threshold is wrong. Fixed-sequence testing: each threshold is tested at the full delta, in an order that
    no label has touched, and the first that fails ends it, so testing many costs nothing (section 5 of the source).
    `scored` must be cases that neither the strategy was fitted on nor the grid was taken from.
    """
    held: Step | None = None
    steps = sequence(grid, scored, alpha, delta)
    for step in steps:
        if step.p_value > delta:
            break
        held = step
    found = {"strategy": rule, "measure": measure, "alpha": alpha, "delta": delta, "cases": len(scored)}
    if held is None:
        reason = _refused(steps, grid, scored, alpha, delta)
        return Certificate.model_validate({**found, "threshold": None, "reason": reason})
    reason = (
        f"{_errors(held.errors)} in {held.accepted} of {len(scored)} certification cases at or above "
        f"{held.threshold:.4g}: at most {100 * alpha:g} % wrong with {100 * (1 - delta):g} % confidence"
    )
    certified = {"threshold": held.threshold, "accepted": held.accepted, "errors": held.errors, "reason": reason}
    return Certificate.model_validate({**found, **certified})


def _check(alpha: float, delta: float) -> None:
    if not (0.0 < alpha < 1.0 and 0.0 < delta < 1.0):
        raise ValueError(f"alpha and delta must lie between 0 and 1, not {alpha:g} and {delta:g}")


def _counts(thresholds: NDArray[np.float64], scored: Sequence[Scored]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each threshold, how many cases it accepts and how many of them are wrong."""
    led = [case for case in scored if case.decided]
    scores = np.asarray([case.score for case in led], dtype=np.float64)
    wrong = np.asarray([case.credit < 1.0 for case in led], dtype=np.int64)
    order = np.argsort(scores, kind="stable")
    below = np.searchsorted(scores[order], thresholds, side="left").astype(np.int64)
    wrong_below = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(wrong[order])])[below]
    return len(led) - below, int(wrong.sum()) - wrong_below


def _refused(steps: Sequence[Step], grid: Sequence[float], scored: Sequence[Scored], alpha: float, delta: float) -> str:
    least, bound = least_cases(alpha, delta), f"{100 * alpha:g} %"
    if steps:
        first = steps[0]
        return (
            f"nothing certifies {bound}: {_errors(first.errors)} in {first.accepted} of {len(scored)} certification "
            f"cases at or above {first.threshold:.4g} (p = {first.p_value:.3g}, at most {delta:g} certifies); "
            f"{cases_needed(first.errors, alpha, delta)} cases with so many errors would be needed"
        )
    loosest = min((one for one in grid if one > 0.0), default=None)
    usable = 0 if loosest is None else sum(case.decided and case.score >= loosest for case in scored)
    return (
        f"nothing certifies {bound}: {usable} of {len(scored)} certification cases could be accepted, and at least "
        f"{least} without an error are needed (p = {(1.0 - alpha) ** usable:.3g} at best, at most {delta:g} certifies)"
    )


def _errors(count: int) -> str:
    return "no error" if count == 0 else "1 error" if count == 1 else f"{count} errors"
