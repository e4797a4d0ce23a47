"""Panels whose truth is known, to measure strategies and calibration against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

from negotiation.calibration.cases import Case
from negotiation.votes import Vote

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Stating = Callable[[Floats, np.random.Generator], Floats]
"""What personas say of how sure they are: true probabilities of being right (cases x personas) -> confidences."""

LARGEST = 2_000_000
"""Vote vectors that `exact_bayes` enumerates at most."""
EDGE = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logit is taken."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A panel's blind votes on cases whose right option is known; the right option is uniform."""

    options: tuple[str, ...]
    rates: dict[str, float]
    """Persona -> the true probability that its vote is right."""
    choices: Integers
    """Cases x personas: index of the option that was voted for."""
    confidences: Floats
    """Cases x personas."""
    right: Integers
    """Cases: index of the right option."""

    @property
    def cases(self) -> list[Case]:
        """The same as cases, their keys numbered in order."""
        personas = tuple(self.rates)
        rows = zip(self.choices.tolist(), self.confidences.tolist(), self.right.tolist(), strict=True)
        return [
            Case(
                key=f"case-{number:06d}",
                votes=tuple(
                    Vote(persona, self.options[choice], confidence, 0)
                    for persona, choice, confidence in zip(personas, choices, confidences, strict=True)
                ),
                right=self.options[right],
            )
            for number, (choices, confidences, right) in enumerate(rows)
        ]


@dataclass(frozen=True, slots=True)
class Make:
    """How a panel is put together."""

    rates: tuple[float, ...]
    """True probability of being right, persona by persona."""
    options: int
    shared: float = 0.0
    """In [0, 1]: correlation of the personas' errors, and the probability that a wrong persona takes the common
    wrong option in place of one of its own."""
    spread: float = 8.0
    """How alike a persona finds the cases: its probability on a case is Beta(spread rate, spread (1 - rate))."""
    stating: Stating | None = None
    """How it states confidence; None: it states its very probability of being right on the case."""


def independent(rates: Sequence[float], options: int) -> Make:
    """Errors are independent given the right option, wrong votes uniform, confidences honest."""
    return Make(tuple(rates), options)


def correlated(rates: Sequence[float], options: int, shared: float = 0.4) -> Make:
    """Personas err together, and often towards the same option: a Gaussian copula over their errors."""
    return Make(tuple(rates), options, shared=shared)


def miscalibrated(rates: Sequence[float], options: int, kinds: Sequence[str]) -> Make:
    """Errors are independent; personas state confidence in the named ways: honest, overconfident, underconfident or
    noisy."""
    chosen = [STATING[kind] for kind in kinds]
    if len(chosen) != len(rates):
        raise ValueError(f"{len(rates)} personas and {len(chosen)} ways of stating confidence")

    def stating(probabilities: Floats, rng: np.random.Generator) -> Floats:
        said = [one(probabilities[:, column], rng) for column, one in enumerate(chosen)]
        return np.column_stack(said)

    return Make(tuple(rates), options, stating=stating)


def draw(make: Make, cases: int, rng: np.random.Generator) -> Simulated:
    """So many fresh cases of the panel. A persona is right with exactly its rate over all cases."""
    if make.options < 2 or not all(0.0 < rate < 1.0 for rate in make.rates):
        raise ValueError("a panel needs two options or more and rates strictly between 0 and 1")
    rates = np.asarray(make.rates)
    size = (cases, rates.size)
    chances = rng.beta(make.spread * rates, make.spread * (1.0 - rates), size=size)
    right = rng.integers(make.options, size=cases)
    choices = np.where(_hits(chances, make.shared, rng), right[:, None], _wrong(right, size, make, rng))
    confidences = chances if make.stating is None else make.stating(chances, rng)
    return Simulated(
        options=tuple(f"option_{number}" for number in range(make.options)),
        rates={f"persona_{number:02d}": rate for number, rate in enumerate(make.rates)},
        choices=choices,
        confidences=np.clip(confidences, 0.0, 1.0),
        right=right,
    )


def exact_bayes(rates: Sequence[float], options: int) -> float:
    """Accuracy of the best possible decision from the votes of an independent panel, by summing over all of them.

    (1/K) sum over vote vectors v of max over x of prod_a P(v_a | x), where P(v_a | x) is the persona's rate if v_a = x
    and (1 - rate) / (K - 1) otherwise; the right option is uniform. Confidences are not used. Raises ValueError for
    more than 2,000,000 vote vectors.
    """
    if options ** len(rates) > LARGEST:
        raise ValueError(f"{options}^{len(rates)} vote vectors are too many to sum over")
    likelihood = np.ones((options, 1))
    for rate in rates:
        matrix = np.full((options, options), (1.0 - rate) / (options - 1))
        np.fill_diagonal(matrix, rate)
        likelihood = (likelihood[:, :, None] * matrix[:, None, :]).reshape(options, -1)
    return float(likelihood.max(axis=0).sum()) / options


def _hits(chances: Floats, shared: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    common = rng.standard_normal((chances.shape[0], 1))
    own = rng.standard_normal(chances.shape)
    return np.asarray(ndtr(np.sqrt(shared) * common + np.sqrt(1.0 - shared) * own) < chances)


def _wrong(right: Integers, size: tuple[int, int], make: Make, rng: np.random.Generator) -> Integers:
    """A wrong option for every vote, uniform over the wrong ones; with probability `shared` the case's common one."""
    common = rng.integers(1, make.options, size=(size[0], 1))
    own = rng.integers(1, make.options, size=size)
    step = np.where(rng.random(size) < make.shared, common, own)
    return np.asarray((right[:, None] + step) % make.options, dtype=np.int64)


def _logit(chances: Floats) -> Floats:
    return np.asarray(logit(np.clip(chances, EDGE, 1.0 - EDGE)))


STATING: dict[str, Stating] = {
    "honest": lambda chances, rng: chances,
    "overconfident": lambda chances, rng: expit(2.0 * _logit(chances) + 1.5),
    "underconfident": lambda chances, rng: expit(0.4 * _logit(chances) - 0.3),
    "noisy": lambda chances, rng: expit(_logit(chances) + 2.0 * rng.standard_normal(chances.shape)),
}
