"""What a strategy is, and the count that the linear ones share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any, Protocol

from domain.decision import Weight
from domain.model import Frozen
from negotiation.votes import Vote

TIE = 1e-9
"""Scores no further apart than this are equal."""


@dataclass(frozen=True, slots=True)
class Count:
    """A strategy's reading of a ballot."""

    tally: dict[str, float]
    weights: tuple[Weight, ...]
    leader: str | None
    """The one option before all others; None on a tie."""
    margin: float
    """(first - second) / total, in [0, 1]; 0 on a tie."""
    share: float
    """first / total, in [0, 1]."""


class Strategy(Protocol):
    """A rule that turns votes into scores. Parameters arrive as an instance of its own `Parameters`."""

    @property
    def Parameters(self) -> type[Frozen]:
        """The model that the configuration's parameters are checked with."""
        ...

    def count(self, votes: Sequence[Vote], options: Sequence[str], parameters: Any) -> Count:
        """Score every option; votes are ordered by persona id."""
        ...

    def least_share(self, parameters: Any) -> float:
        """The share of the total score that the leader needs; 0 where the rule has none."""
        ...

    def rule(self, parameters: Any) -> str:
        """The rule's name with its parameters."""
        ...


class NoParameters(Frozen):
    """This strategy has no parameters."""


def count_linear(votes: Sequence[Vote], options: Sequence[str], weight: Callable[[Vote], float], source: str) -> Count:
    """Each option's score is the exact sum of its votes' weights (fsum: no order of arrival shows in it)."""
    weights = tuple(_weighed(vote, weight, source) for vote in votes)
    cast: dict[str, list[float]] = {option: [] for option in options}
    for item in weights:
        if item.option is not None:
            cast[item.option].append(item.weight)
    tally = {option: fsum(scores) for option, scores in cast.items()}
    total = fsum(item.weight for item in weights)
    ranked = [*sorted(tally.values(), reverse=True), 0.0, 0.0]
    first, second = ranked[0], ranked[1]
    tied = first - second <= TIE
    return Count(
        tally=tally,
        weights=weights,
        leader=None if tied else next(option for option, score in tally.items() if score == first),
        margin=0.0 if tied else min(1.0, (first - second) / total),
        share=min(1.0, first / total) if total > 0 else 0.0,
    )


def _weighed(vote: Vote, weight: Callable[[Vote], float], source: str) -> Weight:
    if vote.option is None:
        return Weight(persona=vote.persona, option=None, weight=0.0, source=f"abstains, round {vote.round}")
    note = f"; {vote.note}" if vote.note else ""
    return Weight(
        persona=vote.persona, option=vote.option, weight=weight(vote), source=f"{source}, round {vote.round}{note}"
    )
