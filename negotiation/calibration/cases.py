"""Resolved cases: votes, and what turned out to be right."""

from collections.abc import Sequence
from dataclasses import dataclass

from negotiation.votes import Ballot, Vote


@dataclass(frozen=True, slots=True)
class BlindRound:
    """What a task type's rules read of a case beside its votes."""

    ballot: Ballot
    """The blind round's, with who was eligible and the vetoes."""
    stake: float | None
    """Amount at stake in currency units; None where it is not known."""
    widened: bool
    """Whether a counter-proposal joined: the panel then votes again, whatever the blind round says."""


@dataclass(frozen=True, slots=True)
class Case:
    """The blind votes on one case."""

    key: str
    votes: tuple[Vote, ...]
    """Ordered by persona id, at most one each; abstentions may be among them."""
    right: str
    """The option that turned out to be right; it may be one that nobody voted for."""
    blind: BlindRound | None = None
    """None where votes alone are on record: no rules are applied to them then."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a strategy made of one case."""

    leader: str | None
    """None on a tie."""
    score: float
    """What a threshold is compared with; 0 on a tie."""
    confidence: float
    """In [0, 1]: the leader's posterior where the strategy states one, else its share of the score."""
    credit: float
    """1 when right, 0 when wrong; on a tie of n options 1/n when the right one is among them."""

    @property
    def decided(self) -> bool:
        """Whether there is a leader."""
        return self.leader is not None


def credit(right: str, leader: str | None, level: Sequence[str]) -> float:
    """What the count is worth: a tie is worth what drawing lots among the level options would be."""
    if leader is not None:
        return float(leader == right)
    return 1.0 / len(level) if right in level else 0.0
