"""A strategy's figures: of one split, and over all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import fsum
from statistics import stdev

from negotiation.calibration.cases import Scored
from negotiation.calibration.certify import certify, grid_of
from negotiation.calibration.selective import Measures, Selected, measures, selected


@dataclass(frozen=True, slots=True)
class Measured(Measures):
    """One strategy on one split's measured half."""

    certified: Mapping[float, Selected]
    """Error bound -> what its certified threshold decides."""


@dataclass(frozen=True, slots=True)
class Covered:
    """What certified thresholds decide, over all splits."""

    coverage: float
    error: float
    """Errors over decided cases of all splits together; 0 where nothing is decided."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One strategy, means over the splits."""

    accuracy: float
    accuracy_sd: float
    """Standard deviation over the splits; 0 with one split."""
    aurc: float
    augrc: float
    coverage_at_5: float
    coverage_at_2: float
    calibration_error: float
    certified: Mapping[float, Covered]
    """By error bound."""
    asked: Covered
    """For the error bound that was asked for."""


def measure(
    fit: Sequence[Scored],
    certifying: Sequence[Scored],
    held: Sequence[Scored],
    alphas: Sequence[float],
    delta: float,
) -> Measured:
    """Thresholds to try come from the scores of `fit`, are certified on `certifying` and applied to `held`."""
    grid = grid_of([case.score for case in fit])
    thresholds = {alpha: certify("", "", grid, certifying, alpha, delta).threshold for alpha in alphas}
    return Measured(
        **asdict(measures(held)),
        certified={alpha: selected(held, threshold) for alpha, threshold in thresholds.items()},
    )


def averaged(found: Sequence[Measured], alpha: float) -> Figures:
    """Over the splits; `alpha` is the error bound that was asked for."""

    def mean(figure: Callable[[Measured], float]) -> float:
        return fsum(map(figure, found)) / len(found)

    certified = {bound: _pooled([one.certified[bound] for one in found]) for bound in found[0].certified}
    return Figures(
        accuracy=mean(lambda one: one.accuracy),
        accuracy_sd=stdev(one.accuracy for one in found) if len(found) > 1 else 0.0,
        aurc=mean(lambda one: one.aurc),
        augrc=mean(lambda one: one.augrc),
        coverage_at_5=mean(lambda one: one.coverage_at_5),
        coverage_at_2=mean(lambda one: one.coverage_at_2),
        calibration_error=mean(lambda one: one.calibration_error),
        certified=certified,
        asked=certified[alpha],
    )


def _pooled(found: Sequence[Selected]) -> Covered:
    decided = sum(one.decided for one in found)
    return Covered(
        coverage=fsum(one.coverage for one in found) / len(found),
        error=sum(one.errors for one in found) / decided if decided else 0.0,
    )
