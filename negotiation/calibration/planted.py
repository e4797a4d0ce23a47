"""Faults planted in a panel on purpose, to see whether a strategy is led astray by them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from negotiation.calibration.cases import Case
from negotiation.votes import Vote

Plant = Callable[[Sequence[Case], Sequence[str], np.random.Generator], list[Case]]
"""Cases and their options -> the same cases with the fault."""

CLONES = 5
HARM = 0.8
"""How often the persona below chance votes for an option that it ought to know is wrong."""


def overconfident(cases: Sequence[Case], options: Sequence[str], rng: np.random.Generator) -> list[Case]:
    """One persona more, which guesses and is 99 % sure of it."""
    guesses = rng.integers(0, len(options), len(cases))
    return [
        _joined(case, Vote("planted_overconfident", options[guess], 0.99, 0))
        for case, guess in zip(cases, guesses, strict=True)
    ]


def below_chance(cases: Sequence[Case], options: Sequence[str], rng: np.random.Generator) -> list[Case]:
    """One persona more, which is wrong on HARM of the cases beyond what guessing would be, and sure of it."""
    harms, guesses = rng.random(len(cases)) < HARM, rng.integers(0, len(options), len(cases))
    found = []
    for case, harm, guess in zip(cases, harms, guesses, strict=True):
        wrong = [option for option in options if option != case.right]
        said = wrong[guess % len(wrong)] if harm else options[guess]
        found.append(_joined(case, Vote("planted_below_chance", said, 0.9, 0)))
    return found


def clones(cases: Sequence[Case], options: Sequence[str], rng: np.random.Generator) -> list[Case]:
    """CLONES copies of the weakest persona, which vote as it does wherever it votes."""
    weakest = weakest_persona(cases)
    return [_with_copies(case, weakest) for case in cases]


def weakest_persona(cases: Sequence[Case]) -> str:
    """The one with the lowest hit rate, of those that cast at least half as many votes as the busiest."""
    hits: dict[str, list[bool]] = {}
    for case in cases:
        for vote in case.votes:
            if vote.option is not None:
                hits.setdefault(vote.persona, []).append(vote.option == case.right)
    busiest = max(map(len, hits.values()))
    rates = {name: sum(found) / len(found) for name, found in hits.items() if 2 * len(found) >= busiest}
    return min(sorted(rates), key=rates.__getitem__)


PLANTS: Mapping[str, Plant] = {
    "one overconfident guesser": overconfident,
    "one persona below chance": below_chance,
    f"{CLONES} clones of the weakest": clones,
}


def _joined(case: Case, *votes: Vote) -> Case:
    return replace(case, votes=tuple(sorted((*case.votes, *votes), key=lambda vote: vote.persona)))


def _with_copies(case: Case, persona: str) -> Case:
    own = next((vote for vote in case.votes if vote.persona == persona), None)
    if own is None:
        return case
    return _joined(case, *(replace(own, persona=f"{persona}_clone_{number}") for number in range(CLONES)))
