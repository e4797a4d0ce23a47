"""A file's items as cases; a confidence that is missing takes the value that leaves it without effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum

from negotiation.calibration.cases import Case
from negotiation.strategies.calibrated_pool import logit
from negotiation.votebook.reading import Item
from negotiation.votes import Vote

OTHER = "(another label)"
"""Declared beside the only label of a file: whoever chooses has at least two options."""


@dataclass(frozen=True)
class Neutral:
    """What a missing confidence counts as: the pool weighs a confidence by its distance from these."""

    by_annotator: Mapping[str, float]
    """The confidence at the annotator's mean logit."""
    overall: float
    """For an annotator that stated none."""


def options_of(labels: Sequence[str]) -> tuple[str, ...]:
    """The options that were open: the file's labels, two at least."""
    if len(labels) > 1:
        return tuple(labels)
    return (*labels, OTHER if OTHER not in labels else f"{OTHER} ")


def neutral(items: Sequence[Item]) -> Neutral:
    """The neutral confidences of these items' votes; 0.5 where none is stated at all."""
    stated: dict[str, list[float]] = {}
    for item in items:
        for vote in item.votes:
            if vote.confidence is not None and vote.label is not None:
                stated.setdefault(vote.annotator, []).append(logit(vote.confidence))
    every = [value for values in stated.values() for value in values]
    means = {name: _at(fsum(values) / len(values)) for name, values in stated.items()}
    return Neutral(means, _at(fsum(every) / len(every)) if every else 0.5)


def cases_of(items: Sequence[Item], missing: Neutral) -> list[Case]:
    """A case for each item, in their order."""
    return [Case(item.key, tuple(_votes(item, missing)), item.right) for item in items]


def _votes(item: Item, missing: Neutral) -> list[Vote]:
    return [
        Vote(
            vote.annotator,
            vote.label,
            missing.by_annotator.get(vote.annotator, missing.overall) if vote.confidence is None else vote.confidence,
            0,
        )
        for vote in item.votes
    ]


def _at(mean_logit: float) -> float:
    return 1.0 / (1.0 + exp(-mean_logit))
