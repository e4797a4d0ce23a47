"""Repeated halves: learn on a part of one half of the items, certify on its rest, measure on the other half."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import fsum
from typing import Any

from threadpoolctl import threadpool_limits

from negotiation.calibration.cases import Case
from negotiation.calibration.fit import fit_learned, split
from negotiation.calibration.selective import accuracy
from negotiation.learned import Learned
from negotiation.votebook.cases import Neutral, cases_of, neutral, options_of
from negotiation.votebook.figures import Figures, Measured, averaged, measure
from negotiation.votebook.limits import any_right, best_single, by_reliability
from negotiation.votebook.reading import Item, Votebook
from negotiation.votebook.scores import Scores

ALPHAS = (0.05, 0.1, 0.2)
"""Error bounds that every strategy is certified for, beside the one asked for."""

LEARNED_BY_ALL = "calibrated_pool"
"""The strategy whose fit on everything is the limit of what could be learned."""


@dataclass(frozen=True)
class Design:
    """What is measured, and how."""

    strategies: tuple[str, ...]
    splits: int = 5
    seed: int = 0
    alpha: float = 0.05
    """Highest share of errors among the cases decided."""
    delta: float = 0.1
    """Highest probability that it is exceeded nevertheless."""

    @property
    def steps(self) -> int:
        """How often `examine` reports a step."""
        return 1 + self.splits * (1 + len(self.strategies))

    @property
    def alphas(self) -> tuple[float, ...]:
        """The error bounds that are certified, ascending."""
        return tuple(sorted({*ALPHAS, self.alpha}))


@dataclass(frozen=True)
class Limits:
    """Means over the splits' measured halves."""

    best_single: float
    """Accuracy of the annotator that was best on the items learned from."""
    pool_all_labels: float
    """Accuracy of the pool fitted on every item, the measured ones too."""
    any_right: float
    """Share of cases on which somebody was right."""


@dataclass(frozen=True)
class Examined:
    """What the file says of each strategy."""

    strategies: Mapping[str, Figures]
    limits: Limits


@dataclass(frozen=True)
class _Halves:
    """Disjoint parts of one split's items."""

    fit: Sequence[Item]
    """What everything is learned on."""
    certify: Sequence[Item]
    """What thresholds are certified on; with `fit` one half of the items."""
    held: Sequence[Item]
    """The other half; its gold is used for measuring alone."""

    @property
    def parts(self) -> tuple[Sequence[Item], Sequence[Item], Sequence[Item]]:
        """All three."""
        return self.fit, self.certify, self.held


def examine(book: Votebook, design: Design, step: Callable[[], object] = lambda: None) -> Examined:
    """Measure the strategies. `step` is called `design.steps` times. Raises ValueError for fewer than two items."""
    if len(book.items) < 2:
        raise ValueError("one item cannot be learned from and measured on: at least two are needed")
    # The fits solve many small systems: threads that wait for each other make them ten times slower on a busy machine.
    with threadpool_limits(1):
        return _examine(book, design, step)


def _examine(book: Votebook, design: Design, step: Callable[[], object]) -> Examined:
    options = options_of(book.labels)
    scores = Scores(options, book.items)
    whole = neutral(book.items)
    best = scores.of(LEARNED_BY_ALL, {}, whole, learn(options, cases_of(book.items, whole), design.seed))
    step()
    measured: dict[str, list[Measured]] = {name: [] for name in design.strategies}
    limits: list[Limits] = []
    for number in range(design.splits):
        halves = _halves(book.items, design.seed, number)
        missing = neutral(halves.fit)
        learned = learn(options, cases_of(halves.fit, missing), design.seed + number)
        ranked = by_reliability(book.annotators, learned)
        held = cases_of(halves.held, missing)
        pool = accuracy([best[case.key] for case in held])
        limits.append(Limits(best_single(held, ranked), pool, any_right(held)))
        step()
        for name in design.strategies:
            found = scores.of(name, _parameters(name, ranked), missing, learned)
            fit, certify, test = ([found[item.key] for item in part] for part in halves.parts)
            measured[name].append(measure(fit, certify, test, design.alphas, design.delta))
            step()
    return Examined({name: averaged(found, design.alpha) for name, found in measured.items()}, _mean_limits(limits))


def learn(options: Sequence[str], cases: Sequence[Case], seed: int) -> Learned | None:
    """Reliabilities and pool of these cases; None where nobody cast a vote."""
    if not any(vote.option is not None for case in cases for vote in case.votes):
        return None
    return fit_learned(options, cases, seed)


def _halves(items: Sequence[Item], seed: int, number: int) -> _Halves:
    """Drawn by the items' keys, never by their place in the file; of an odd number, fewer are measured."""
    drawn = sorted(items, key=lambda item: (sha256(f"half:{seed}:{number}:{item.key}".encode()).digest(), item.key))
    middle = (len(drawn) + 1) // 2
    kept, held = drawn[:middle], drawn[middle:]
    for_fit = {case.key for case in split(cases_of(kept, Neutral({}, 0.5)), seed + number, test=0.0).fit}
    return _Halves(
        fit=[item for item in kept if item.key in for_fit],
        certify=[item for item in kept if item.key not in for_fit],
        held=held,
    )


def _parameters(name: str, ranked: Sequence[str]) -> dict[str, Any]:
    return {"lead": tuple(ranked)} if name == "lead_decides" else {}


def _mean_limits(found: Sequence[Limits]) -> Limits:
    return Limits(
        best_single=fsum(limits.best_single for limits in found) / len(found),
        pool_all_labels=fsum(limits.pool_all_labels for limits in found) / len(found),
        any_right=fsum(limits.any_right for limits in found) / len(found),
    )
