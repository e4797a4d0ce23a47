"""What a strategy is, and the counting that several share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, fsum
from typing import Any, Literal, Protocol

from domain.model import Frozen
from negotiation.learned import Learned
from negotiation.votes import Vote

TIE = 1e-9
"""Scores no further apart than this are equal."""


@dataclass(frozen=True, slots=True)
class Count:
    """A strategy's reading of a ballot."""

    tally: dict[str, float]
    """Option -> score."""
    weights: tuple[float, ...]
    """What each vote counted, in the order of the votes; 0 for an abstention."""
    leader: str | None
    """The one option before all others; None on a tie."""
    margin: float
    """In [0, 1]: how far the leader stands before the second; 0 on a tie."""
    share: float
    """In [0, 1]: the leader's part of the whole score."""
    level: tuple[str, ...] = ()
    """On a tie the options that share the lead, ordered by name."""
    posterior: dict[str, float] | None = None
    """Option -> probability of being right, where the strategy states one."""
    lacks: str | None = None
    """What the leader has and what its strategy asks for, where that is more; None where it has enough."""

    @property
    def score(self) -> float:
        """What a certified threshold is compared with: the leader's posterior, else the margin."""
        if self.leader is None or self.lacks is not None:
            return 0.0
        return self.margin if self.posterior is None else self.posterior[self.leader]


class Strategy(Protocol):
    """A rule that turns votes into scores. Parameters arrive as an instance of its own `Parameters`."""

    @property
    def Parameters(self) -> type[Frozen]:
        """The model that the configuration's parameters are checked with."""
        ...

    @property
    def needs(self) -> Literal["nothing", "rates", "pool"]:
        """What it takes from a calibration; where that is missing, plurality is counted and a person decides."""
        ...

    @property
    def measure(self) -> Literal["margin", "posterior"]:
        """What its counts' `score` is."""
        ...

    def count(self, votes: Sequence[Vote], options: Sequence[str], parameters: Any, learned: Learned | None) -> Count:
        """Score every option; votes are ordered by persona id, at most one a persona."""
        ...

    def least_share(self, parameters: Any) -> float:
        """The share of the total score that the leader needs; 0 where the rule has none.

        A rule that is stricter, or exact, says so in its counts' `lacks`.
        """
        ...

    def source(self, vote: Vote, parameters: Any, learned: Learned | None) -> str:
        """Where the weight of a vote that was cast comes from."""
        ...

    def rule(self, parameters: Any) -> str:
        """The rule's name with its parameters."""
        ...


class NoParameters(Frozen):
    """This strategy has no parameters."""


class OneVoteEach:
    """What the strategies have in common that count every vote alike."""

    needs: Literal["nothing", "rates", "pool"] = "nothing"
    measure: Literal["margin", "posterior"] = "margin"

    def count(self, votes: Sequence[Vote], options: Sequence[str], parameters: Any, learned: Learned | None) -> Count:
        """Score every option by its votes."""
        return count_linear(votes, options, [1.0] * len(votes))

    def source(self, vote: Vote, parameters: Any, learned: Learned | None) -> str:
        """One vote each."""
        return "one vote each"


def count_linear(votes: Sequence[Vote], options: Sequence[str], weights: Sequence[float]) -> Count:
    """Each option's score is the exact sum of its votes' weights (fsum: no order of arrival shows in it)."""
    weights = tuple(0.0 if vote.option is None else weight for vote, weight in zip(votes, weights, strict=True))
    tally = add_up(votes, options, weights)
    total = fsum(weights)
    best, second, level = front(tally)
    tied = len(level) != 1
    return Count(
        tally=tally,
        weights=weights,
        leader=None if tied else level[0],
        margin=0.0 if tied or total <= 0 else min(1.0, (best - second) / total),
        share=min(1.0, best / total) if total > 0 else 0.0,
        level=level if tied else (),
    )


def require(count: Count, votes: Sequence[Vote], met: Callable[[int, int], bool], needed: str) -> Count:
    """The count of one vote each, lacking where `met(leader's votes, votes cast)` does not hold: no float decides."""
    if count.leader is None:
        return count
    casting = sum(vote.option is not None for vote in votes)
    own = round(count.tally[count.leader])
    return count if met(own, casting) else replace(count, lacks=f"{own} of {casting} votes; {needed}")


def count_log_odds(votes: Sequence[Vote], options: Sequence[str], weights: Sequence[float]) -> Count:
    """Scores are log-odds: the posterior is their softmax over all options. Only an option with a vote can lead."""
    weights = tuple(0.0 if vote.option is None else weight for vote, weight in zip(votes, weights, strict=True))
    tally = add_up(votes, options, weights)
    posterior = softmax(tally)
    voted = {vote.option for vote in votes if vote.option is not None}
    _, _, level = front({option: score for option, score in tally.items() if option in voted})
    tied = len(level) != 1
    rest = [] if tied else [share for option, share in posterior.items() if option != level[0]]
    share = 0.0 if not level else posterior[level[0]]
    return Count(
        tally=tally,
        weights=weights,
        leader=None if tied else level[0],
        margin=0.0 if tied else max(0.0, share - max(rest, default=0.0)),
        share=share,
        level=level if tied else (),
        posterior=posterior,
    )


def order_of(vote: Vote) -> tuple[str, ...]:
    """The options that a vote ranks, best first: its option alone where no ranking begins with it."""
    option = vote.option
    if option is None:
        return ()
    return vote.ranking if vote.ranking and vote.ranking[0] == option else (option,)


def add_up(votes: Sequence[Vote], options: Sequence[str], weights: Sequence[float]) -> dict[str, float]:
    """Option -> the exact sum of its votes' weights."""
    cast: dict[str, list[float]] = {}
    for vote, weight in zip(votes, weights, strict=True):
        if vote.option is not None:
            cast.setdefault(vote.option, []).append(weight)
    return {option: fsum(cast[option]) if option in cast else 0.0 for option in options}


def front(tally: Mapping[str, float]) -> tuple[float, float, tuple[str, ...]]:
    """The best score, the best of the options behind it (0 where there is none), and who is level with the best."""
    if not tally:
        return 0.0, 0.0, ()
    best = max(tally.values())
    level = tuple(sorted(option for option, score in tally.items() if best - score <= TIE))
    second = max((score for option, score in tally.items() if option not in level), default=0.0)
    return best, second, level


def softmax(tally: Mapping[str, float]) -> dict[str, float]:
    """Option -> exp(score) / sum of exp(scores)."""
    if not tally:
        return {}
    best = max(tally.values())
    powers = {option: exp(score - best) for option, score in tally.items()}
    total = fsum(powers.values())
    return {option: power / total for option, power in powers.items()}
