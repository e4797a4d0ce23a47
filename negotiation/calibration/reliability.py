"""How often each persona is right: shrunk hit rates, and how far its stated confidence is from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln

from domain.calibration import Reliability
from negotiation.calibration.cases import Case

PRIOR_CASES = 4.0
"""m: a persona's rate starts at the panel's mean with the weight of this many cases."""

STRENGTHS = tuple(PRIOR_CASES * float(2**power) for power in range(11))
"""Values of m that `likely_strength` tells apart, up to 4,096 cases."""

LEAST_RATE = 0.01
"""Rates are clipped to [LEAST_RATE, 1 - LEAST_RATE]: no record makes a vote certain."""

BINS = 5
"""Of stated confidence; few, because a persona's record is short."""


@dataclass(frozen=True, slots=True)
class Records:
    """The panel's records on resolved cases."""

    mean_rate: float
    """mu: hits over votes of all personas, clipped as the rates are."""
    by_persona: dict[str, Reliability]


def reliabilities(cases: Sequence[Case], options: int, m: float = PRIOR_CASES) -> Records:
    """The record of everyone who voted. `options`: how many were declared. Raises ValueError without a vote."""
    if options < 2:
        raise ValueError(f"{options} options: at least 2 are needed")
    given: dict[str, list[tuple[float, bool]]] = {}
    for case in cases:
        for vote in case.votes:
            if vote.option is not None:
                given.setdefault(vote.persona, []).append((vote.confidence, vote.option == case.right))
    if not given:
        raise ValueError("no resolved case holds a vote")
    hits = {persona: sum(hit for _, hit in votes) for persona, votes in given.items()}
    mean = float(clipped(sum(hits.values()) / sum(map(len, given.values()))))
    records: dict[str, Reliability] = {}
    for persona in sorted(given):
        votes = given[persona]
        rate = float(shrunk(hits[persona], len(votes), mean, m))
        records[persona] = Reliability(
            persona=persona,
            cases=len(votes),
            hits=hits[persona],
            rate=rate,
            below_chance=rate < 1 / options,
            stated=fsum(confidence for confidence, _ in votes) / len(votes),
            calibration_error=_calibration_error(votes),
        )
    return Records(mean, records)


def shrunk(hits: ArrayLike, cases: ArrayLike, mean: ArrayLike, m: float = PRIOR_CASES) -> NDArray[np.float64]:
    """(hits + m mean) / (cases + m), clipped."""
    return clipped((np.asarray(hits) + m * np.asarray(mean)) / (np.asarray(cases) + m))


def likely_strength(hits: ArrayLike, cases: ArrayLike, mean: float) -> float:
    """The m under which the panel's records are likeliest, if rates are Beta(m mean, m (1 - mean)): empirical Bayes.

    Large where personas differ by no more than chance would have them: their records then say little, and all count
    alike. Of the STRENGTHS, so never below PRIOR_CASES.
    """
    m = np.asarray(STRENGTHS)[:, None]
    right, wrong = np.asarray(hits), np.asarray(cases) - np.asarray(hits)
    likelihood = betaln(right + m * mean, wrong + m * (1.0 - mean)) - betaln(m * mean, m * (1.0 - mean))
    return STRENGTHS[int(likelihood.sum(axis=1).argmax())]


def clipped(rate: ArrayLike) -> NDArray[np.float64]:
    """The rate within [LEAST_RATE, 1 - LEAST_RATE]."""
    return np.clip(np.asarray(rate, dtype=np.float64), LEAST_RATE, 1.0 - LEAST_RATE)


def _calibration_error(votes: Sequence[tuple[float, bool]]) -> float:
    """Mean over the votes of |stated confidence - hit rate| of their bin; bins of equal width."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, hit in votes:
        bins.setdefault(min(BINS - 1, int(confidence * BINS)), []).append((confidence, hit))
    return fsum(abs(fsum(confidence - hit for confidence, hit in held)) for held in bins.values()) / len(votes)
