"""What would have been found, had one persona been away, voted otherwise, or been surer or less sure.

Nothing is derived from a strategy's formula: every claim is the finding on the changed ballot itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

from domain.decision import ResultKind
from domain.task_type import StrategySpec
from negotiation.settle import Judged, Terms, judge
from negotiation.votes import Ballot, Veto, Vote

STEPS = 10_000
"""A changed confidence is looked for in steps of 1/STEPS, so that what is said of it holds at the number shown."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One change to the ballot that gives another kind of result or another option."""

    persona: str
    found: Judged
    option: str | None = None
    """What it votes for instead; None abstains."""
    confidence: float | None = None
    """Its confidence instead."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A ballot as it was settled, to be changed."""

    spec: StrategySpec
    options: Sequence[str]
    ballot: Ballot
    terms: Terms | None
    found: Judged

    def look(self, ballot: Ballot) -> Judged:
        """The finding on another ballot."""
        return judge(self.spec, self.options, ballot, self.terms)

    def differs(self, other: Judged) -> bool:
        """Whether it is another kind of result or another option."""
        return _shown(other) != _shown(self.found)


def away(scene: Scene) -> tuple[Turn, ...]:
    """The pivotal personas: without each of them the panel's result is another."""
    turns = (Turn(vote.persona, scene.look(_without(scene.ballot, vote.persona))) for vote in scene.ballot.votes)
    return tuple(turn for turn in turns if scene.differs(turn.found))


def switches(scene: Scene) -> tuple[Turn, ...]:
    """Every single changed vote, at the same confidence, that gives another result. A veto stays where it is."""
    turns = (
        Turn(vote.persona, scene.look(_with(scene.ballot, vote, _voting(vote, option))), option)
        for vote in scene.ballot.votes
        for option in (*scene.options, None)
        if option != vote.option
    )
    return tuple(turn for turn in turns if scene.differs(turn.found))


def lifted(scene: Scene) -> tuple[Turn, ...]:
    """The vetoes without which the result is another."""
    turns = (
        Turn(veto.persona, scene.look(replace(scene.ballot, vetoes=_others(scene.ballot, veto.persona))))
        for veto in scene.ballot.vetoes
    )
    return tuple(turn for turn in turns if scene.differs(turn.found))


def surer(scene: Scene) -> tuple[bool, tuple[Turn, ...]]:
    """Whether confidences count at all; and for each persona the nearest confidence that gives another result."""
    counts, turns = False, []
    for vote in scene.ballot.votes:
        if vote.option is None:
            continue
        at = _confidence(scene, vote)
        ends = {step: at(step) for step in (0, STEPS)}
        counts = counts or any(found.counted.count != scene.found.counted.count for found in ends.values())
        near = [turn for step, found in ends.items() if (turn := _nearest(scene, vote, at, step, found))]
        turns += sorted(near, key=lambda turn: abs((turn.confidence or 0.0) - vote.confidence))[:1]
    return counts, tuple(turns)


def _confidence(scene: Scene, vote: Vote) -> Callable[[int], Judged]:
    return lambda step: scene.look(_with(scene.ballot, vote, replace(vote, confidence=step / STEPS)))


def _nearest(scene: Scene, vote: Vote, at: Callable[[int], Judged], end: int, last: Judged) -> Turn | None:
    """The first step towards `end` with another result, by bisection: along a confidence, the steps with the same
    kind and the same leader lie together.
    """
    here = floor(vote.confidence * STEPS) if end else ceil(vote.confidence * STEPS)
    now = scene.found
    while _stands(last) != _stands(now):
        same, other, found = here, end, last
        while abs(other - same) > 1:
            middle = (same + other) // 2
            seen = at(middle)
            if _stands(seen) == _stands(now):
                same = middle
            else:
                other, found = middle, seen
        if scene.differs(found):
            return Turn(vote.persona, found, confidence=other / STEPS)
        # Another leader with the same result, as when both are vetoed: on from there.
        here, now = other, found
    return None


def _stands(found: Judged) -> tuple[ResultKind, str | None]:
    return found.kind, found.counted.count.leader


def _shown(found: Judged) -> tuple[ResultKind, str | None]:
    return found.kind, found.option


def _without(ballot: Ballot, persona: str) -> Ballot:
    return replace(
        ballot,
        votes=tuple(vote for vote in ballot.votes if vote.persona != persona),
        vetoes=_others(ballot, persona),
        eligible=tuple(name for name in ballot.eligible if name != persona),
    )


def _others(ballot: Ballot, persona: str) -> tuple[Veto, ...]:
    return tuple(veto for veto in ballot.vetoes if veto.persona != persona)


def _with(ballot: Ballot, old: Vote, new: Vote) -> Ballot:
    return replace(ballot, votes=tuple(new if vote is old else vote for vote in ballot.votes))


def _voting(vote: Vote, option: str | None) -> Vote:
    """The same vote for another option, which moves to the front of a ranking."""
    if option is None or not vote.ranking:
        return replace(vote, option=option, ranking=())
    return replace(vote, option=option, ranking=(option, *(name for name in vote.ranking if name != option)))
