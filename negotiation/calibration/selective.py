"""How good a strategy's decisions are, and how well its score tells the good ones.

Cases are taken in the order of falling score. Cases with equal scores cannot be told apart, so each counts with the
mean of its group: this is the mean over all orders of the group, and the order of the input cannot matter. Cases
without a leader come last, as one group. n is the number of cases, the loss of a case is 1 - credit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from negotiation.calibration.cases import Scored

ROUNDING = 1e-12
"""How far an error share may exceed the one asked for by rounding alone."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Selected:
    """What a threshold lets through."""

    coverage: float
    """Share of all cases that are decided."""
    error: float
    """Share of the decided cases that are wrong; 0 where nothing is decided."""
    decided: int
    errors: int


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one strategy on one set of cases."""

    accuracy: float
    aurc: float
    augrc: float
    coverage_at_5: float
    coverage_at_2: float
    calibration_error: float


def measures(scored: Sequence[Scored]) -> Measures:
    """All of them. Raises ValueError without cases."""
    return Measures(
        accuracy=accuracy(scored),
        aurc=aurc(scored),
        augrc=augrc(scored),
        coverage_at_5=coverage_at(scored, 0.05),
        coverage_at_2=coverage_at(scored, 0.02),
        calibration_error=calibration_error(scored),
    )


def accuracy(scored: Sequence[Scored]) -> float:
    """Mean credit over all cases; a tie counts what drawing lots would be worth. Raises ValueError without cases."""
    return float(_credits(scored).mean())


def aurc(scored: Sequence[Scored]) -> float:
    """Area under the risk-coverage curve: (1/n) sum over k = 1..n of the mean loss of the first k cases.

    Source: Geifman, Uziel, El-Yaniv, arXiv 1805.08206. Lower is better. Raises ValueError without cases.
    """
    losses = _ordered_losses(scored)
    return float((np.cumsum(losses) / np.arange(1, losses.size + 1)).mean())


def augrc(scored: Sequence[Scored]) -> float:
    """Area under the generalised risk-coverage curve: the integral over coverage of "accepted and wrong".

    With G_k = (1/n) (loss of the first k cases), G_0 = 0: (1/n) sum over k = 1..n of (G_{k-1} + G_k) / 2. For losses
    of 0 and 1 it equals (1 - AUROC) acc (1 - acc) + (1 - acc)^2 / 2. Source: Traub et al., arXiv 2407.01032. Lower is
    better; never above 1/2. Raises ValueError without cases.
    """
    losses = _ordered_losses(scored)
    joint = np.cumsum(losses) / losses.size
    return float((joint - losses / (2 * losses.size)).mean())


def coverage_at(scored: Sequence[Scored], error: float) -> float:
    """The largest share of cases that a threshold decides with a share of errors of at most `error`.

    In hindsight, on the very cases that it is measured on: what no threshold chosen beforehand can beat, not what can
    be promised. Cases of equal score are taken together or not at all.
    """
    led = [case for case in scored if case.decided and case.score > 0.0]
    if not led:
        return 0.0
    scores = np.asarray([case.score for case in led], dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    wrong = np.cumsum(1.0 - np.asarray([case.credit for case in led], dtype=np.float64)[order])
    last = np.append(np.diff(scores[order]) != 0.0, True)
    accepted = np.arange(1, len(led) + 1)
    kept = accepted[last & (wrong <= (error + ROUNDING) * accepted)]
    return float(kept.max(initial=0)) / len(scored)


def calibration_error(scored: Sequence[Scored], bins: int = 15) -> float:
    """Sum over bins b of (n_b / n) |mean confidence in b - mean credit in b|, in bins of equal mass.

    Cases are ordered by confidence, those of equal confidence counting their mean credit, and cut into `bins` runs
    whose lengths differ by one at most. A tie of m options counts with the probability of one of them against a credit
    of 1/m, which have the same mean where the posterior is right. Source: Nguyen and O'Connor, arXiv 1508.05154
    (adaptive bins). Raises ValueError without cases.
    """
    credits = _credits(scored)
    confidences = np.asarray([case.confidence for case in scored], dtype=np.float64)
    order = np.argsort(confidences, kind="stable")
    gaps = confidences[order] - _smoothed(confidences[order], credits[order])
    runs = np.array_split(gaps, min(bins, gaps.size))
    return float(sum(abs(run.sum()) for run in runs) / gaps.size)


def selected(scored: Sequence[Scored], threshold: float | None) -> Selected:
    """What the threshold decides: cases with a leader and a score of at least it; None decides nothing."""
    if threshold is None or not scored:
        return Selected(0.0, 0.0, 0, 0)
    taken = [case.credit for case in scored if case.decided and case.score >= threshold]
    errors = sum(credit < 1.0 for credit in taken)
    return Selected(len(taken) / len(scored), errors / len(taken) if taken else 0.0, len(taken), errors)


def _credits(scored: Sequence[Scored]) -> Floats:
    if not scored:
        raise ValueError("there are no cases to measure")
    return np.asarray([case.credit for case in scored], dtype=np.float64)


def _ordered_losses(scored: Sequence[Scored]) -> Floats:
    losses = 1.0 - _credits(scored)
    scores = np.asarray([case.score if case.decided else -np.inf for case in scored], dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    return _smoothed(scores[order], losses[order])


def _smoothed(keys: Floats, values: Floats) -> Floats:
    """Each value replaced by the mean over the run of equal keys that it stands in."""
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    sizes = np.diff(np.append(starts, keys.size))
    # Sorted within each run, so that not even rounding depends on the order of the input.
    runs = np.repeat(np.arange(starts.size), sizes)
    tidy = values[np.lexsort((values, runs))]
    return np.repeat(np.add.reduceat(tidy, starts) / sizes, sizes)
