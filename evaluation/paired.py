"""Two ways of deciding on the same cases: is the difference more than chance?"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from domain.model import Frozen
from evaluation.rates import pairing

RESAMPLES = 9_999
_NORMAL = NormalDist()


class PairedDifference(Frozen):
    """One share minus another on the same cases, with its interval."""

    n: int
    wins: int
    """Cases that the first alone got right."""
    losses: int
    """Cases that the second alone got right."""
    value: float
    """(wins - losses) / n."""
    low: float
    high: float
    p: float
    """Exact McNemar test, two-sided."""


def mcnemar(wins: int, losses: int) -> float:
    """p = P(|X - m/2| >= |wins - m/2|) for X ~ Binomial(m, 1/2), m = wins + losses the discordant pairs; 1 without any.

    The exact form of Q. McNemar's test (Psychometrika 12, 1947).
    """
    return pairing(wins, losses, wins + losses).p


def paired_difference(
    first: Sequence[bool], second: Sequence[bool], seed: int, level: float = 0.95, resamples: int = RESAMPLES
) -> PairedDifference | None:
    """The difference of two shares of the same cases, with a paired BCa interval and McNemar's p; None without cases.

    Raises ValueError where the two differ in length.
    """
    pairs = list(zip(first, second, strict=True))
    n = len(pairs)
    if n == 0:
        return None
    wins = sum(one and not other for one, other in pairs)
    losses = sum(other and not one for one, other in pairs)
    low, high = bca(wins, losses, n, seed, level, resamples)
    return PairedDifference(
        n=n, wins=wins, losses=losses, value=(wins - losses) / n, low=low, high=high, p=mcnemar(wins, losses)
    )


def bca(
    wins: int, losses: int, n: int, seed: int, level: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The bias-corrected and accelerated bootstrap interval of (wins - losses) / n.

    Each case is a pair, so what is drawn again is its difference in {1, -1, 0}: the counts of a resample are
    Multinomial(n; wins/n, losses/n, rest/n), which is drawn directly. With t the estimate, t* the resamples,
    z0 = Phi^-1(share of t* < t, ties half), a = sum (d_i - t)^3 / (6 (sum (d_i - t)^2)^1.5) and z = Phi^-1(q), the
    end for q is the quantile Phi(z0 + (z0 + z) / (1 - a (z0 + z))) of t*. B. Efron, JASA 82 (1987); acceleration by
    the jackknife. Where all cases agree, or no end is defined, the interval is the point.
    """
    point = (wins - losses) / n
    if max(wins, losses, n - wins - losses) == n:
        return point, point
    drawn = np.random.default_rng(seed).multinomial(n, [wins / n, losses / n, (n - wins - losses) / n], resamples)
    # Differences of whole numbers: ties with the estimate are exact.
    differences: NDArray[np.int64] = drawn[:, 0] - drawn[:, 1]
    below = float(np.mean(differences < wins - losses) + np.mean(differences == wins - losses) / 2)
    if not 0.0 < below < 1.0:
        return point, point
    bias, acceleration = _NORMAL.inv_cdf(below), _acceleration(wins, losses, n)
    ends = (_adjusted(q, bias, acceleration) for q in ((1 - level) / 2, (1 + level) / 2))
    low, high = (float(np.quantile(differences, end)) / n for end in ends)
    return low, high


def _acceleration(wins: int, losses: int, n: int) -> float:
    point = (wins - losses) / n
    parts = ((wins, 1.0), (losses, -1.0), (n - wins - losses, 0.0))
    squares = sum(count * (value - point) ** 2 for count, value in parts)
    return float(sum(count * (value - point) ** 3 for count, value in parts) / (6.0 * squares**1.5))


def _adjusted(q: float, bias: float, acceleration: float) -> float:
    moved = bias + _NORMAL.inv_cdf(q)
    return _NORMAL.cdf(bias + moved / (1.0 - acceleration * moved))


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """Name -> adjusted p: sorted ascending, p~_i = max over j <= i of min(1, (m - j + 1) p_j).

    S. Holm, Scandinavian Journal of Statistics 6 (1979): keeps the family-wise error whatever depends on what.
    """
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, name in enumerate(sorted(values, key=lambda name: (values[name], name))):
        highest = max(highest, min(1.0, (len(values) - place) * values[name]))
        adjusted[name] = highest
    return adjusted
