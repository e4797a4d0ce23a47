"""What the rounds after the blind one are worth: how often they put a wrong panel right, and a right one wrong."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.calibration import DebateGain
from domain.proposal import Option, Proposal
from domain.task_type import StrategySpec
from negotiation.settle import Terms, count_ballot
from negotiation.votes import cast_ballots


@dataclass(frozen=True, slots=True)
class Debated:
    """Which option led in each round of one resolved negotiation."""

    right: str
    leaders: tuple[str | None, ...]
    """By round; None on a tie, which counts as not right."""


def leaders(
    spec: StrategySpec,
    options: Sequence[Option],
    eligible: Sequence[str],
    rounds: Sequence[Sequence[Proposal]],
    terms: Terms | None = None,
) -> tuple[str | None, ...]:
    """Who leads after each round, whether or not the lead decides: a veto and a threshold do not matter here."""
    names = [option.name for option in options]
    found = []
    for ballot in cast_ballots(options, eligible, rounds):
        found.append(count_ballot(spec, names, ballot, terms).leader)
    return tuple(found)


def gain(cases: Iterable[Debated]) -> DebateGain:
    """From the blind round to the last one, over the cases that held more than one."""
    held = [case for case in cases if len(case.leaders) > 1]
    first = [case.leaders[0] == case.right for case in held]
    last = [case.leaders[-1] == case.right for case in held]
    return DebateGain(
        cases=len(held),
        wrong_to_right=sum(not before and after for before, after in zip(first, last, strict=True)),
        right_to_wrong=sum(before and not after for before, after in zip(first, last, strict=True)),
    )
