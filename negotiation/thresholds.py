"""What a leader is held to: what decides and what explains ask the same questions."""

from dataclasses import dataclass
from math import ceil

from domain.task_type import StrategySpec
from negotiation.fractions import exact_fraction
from negotiation.strategy import TIE, Count
from negotiation.votes import Ballot


@dataclass(frozen=True, slots=True)
class Opposition:
    """Who stands against the leader."""

    vetoed_by: tuple[str, ...]
    against: tuple[str, ...]
    """Who voted for another option."""
    present: int
    needed: int | None
    """How many of those block; None where no minority can."""

    @property
    def minority(self) -> bool:
        """Whether they are enough to block."""
        return self.needed is not None and len(self.against) >= self.needed


def opposition(spec: StrategySpec, leader: str, ballot: Ballot) -> Opposition:
    """Vetoes and votes against the leader."""
    share, present = spec.blocking_minority, len(ballot.votes)
    return Opposition(
        vetoed_by=tuple(veto.persona for veto in ballot.vetoes if veto.option == leader),
        against=tuple(vote.persona for vote in ballot.votes if vote.option not in (None, leader)),
        present=present,
        needed=None if share is None else ceil(exact_fraction(share) * present),
    )


def has_share(count: Count, needed: float) -> bool:
    """Whether the leader has the part of the score that its strategy asks for."""
    return count.lacks is None and count.share >= needed - TIE


def has_margin(count: Count, needed: float) -> bool:
    """Whether the leader stands far enough before the second."""
    return count.margin >= needed - TIE


def has_score(count: Count, certified: float | None) -> bool:
    """Whether the score reaches the certified threshold; never where there is none."""
    return certified is not None and count.score >= certified


def within(stake: float | None, limit: float) -> bool:
    """Whether no more is at stake than may be decided without a person; an unknown amount is more."""
    return stake is not None and stake <= limit
