"""The certified threshold: Learn-then-Test (Angelopoulos et al., arXiv 2110.01052).

The thresholds are tested from strict to loose in an order that no label has touched. A test that holds hands its level
on to the next, looser threshold; one that fails ends that run (fixed-sequence testing). With many cases the level is
shared between two starting points, and what a run still holds joins the next start: the fallback procedure (Wiens,
2003), which keeps the probability of any false certificate at delta. The second start is worth half the level: among
the surest few dozen cases one unlucky or mislabelled one would end the only run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from domain.calibration import Certificate
from negotiation.calibration.cases import Scored

LEAST_START = 45
"""No run starts on fewer cases, where there are so many: at a large alpha a dozen cases say next to nothing."""

LEAST_FOR_TWO = 300
"""Certification cases from which on there are two starting points."""

SECOND_START = 1 / 4
"""Share of the certification cases that the second starting point accepts."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run of tests begins, and at which level."""

    accepted: int
    """It begins at the strictest threshold that accepts so many cases."""
    level: float


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
    level: float
    """The threshold holds where the p-value is at most this."""

    @property
    def held(self) -> bool:
        """Whether the threshold is certified."""
        return self.p_value <= self.level


def starts(cases: int, alpha: float, delta: float) -> tuple[Start, ...]:
    """The starting points for so many certification cases, strictest first; their levels add up to delta.

    They depend on no label and no score. No start lies where not even an error-free run could hold.
    """
    if cases < LEAST_FOR_TWO:
        return (Start(max(least_cases(alpha, delta), min(LEAST_START, cases)), delta),)
    first = max(least_cases(alpha, delta / 2), LEAST_START)
    return (Start(first, delta / 2), Start(max(first, round(SECOND_START * cases)), delta / 2))


def least_cases(alpha: float, delta: float) -> int:
    """How many error-free cases certify alpha at confidence 1 - delta: the least n with (1 - alpha)^n <= delta."""
    _check(alpha, delta)
    found = ceil(log(delta) / log(1.0 - alpha))
    return found if (1.0 - alpha) ** found <= delta else found + 1


def fewest_to_certify(alpha: float, delta: float) -> int:
    """With how many certification cases, all of them right, something certifies."""
    single = least_cases(alpha, delta)
    # With two starts each has half the level: so many error-free cases are no longer enough.
    return single if single < LEAST_FOR_TWO else max(LEAST_FOR_TWO, least_cases(alpha, delta / 2))


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
    """The tests in their order, from the strictest threshold of the first start on; without those at a level of 0."""
    thresholds = np.unique(np.asarray([one for one in grid if one > 0.0], dtype=np.float64))[::-1]
    accepted, errors = _counts(thresholds, scored)
    p_values = binom.cdf(errors, accepted, alpha)
    ahead = list(starts(len(scored), alpha, delta))
    level, steps = 0.0, []
    for threshold, n, wrong, p_value in zip(thresholds, accepted, errors, p_values, strict=True):
        while ahead and n >= ahead[0].accepted:
            level += ahead.pop(0).level
        if level > 0.0:
            steps.append(Step(float(threshold), int(n), int(wrong), float(p_value), level))
            level = level if steps[-1].held else 0.0
    return tuple(steps)


def certify(
    rule: str, measure: str, grid: Sequence[float], scored: Sequence[Scored], alpha: float, delta: float
) -> Certificate:
    """The loosest threshold that held.

    Where cases are exchangeable, with probability 1 - delta at most a share alpha of the cases with a score of at
    least the threshold is wrong. `scored` must be cases that neither the strategy was fitted on nor the grid was
    taken from.
    """
    steps = sequence(grid, scored, alpha, delta)
    held = next((step for step in reversed(steps) if step.held), None)
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
    bound = f"{100 * alpha:g} %"
    if steps:
        near = min(steps, key=lambda step: step.p_value / step.level)
        return (
            f"nothing certifies {bound}: {_errors(near.errors)} in {near.accepted} of {len(scored)} certification "
            f"cases at or above {near.threshold:.4g} (p = {near.p_value:.3g}, at most {near.level:g} certifies); "
            f"{cases_needed(near.errors, alpha, near.level)} cases with so many errors would be needed"
        )
    first = starts(len(scored), alpha, delta)[0]
    loosest = min((one for one in grid if one > 0.0), default=None)
    usable = 0 if loosest is None else sum(case.decided and case.score >= loosest for case in scored)
    return (
        f"nothing certifies {bound}: {usable} of {len(scored)} certification cases could be accepted, and at least "
        f"{first.accepted} without an error are needed (p = {(1.0 - alpha) ** usable:.3g} at best, "
        f"at most {first.level:g} certifies)"
    )


def _errors(count: int) -> str:
    return "no error" if count == 0 else "1 error" if count == 1 else f"{count} errors"
