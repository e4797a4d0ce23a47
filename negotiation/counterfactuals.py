"""What the result would have been, had one persona been away or voted otherwise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from domain.decision import Result
from domain.task_type import StrategySpec
from negotiation.settle import Terms, settle
from negotiation.votes import Ballot


@dataclass(frozen=True, slots=True)
class Turn:
    """One change to the ballot that gives another result."""

    persona: str
    option: str | None
    """What the persona votes for instead; None when it is away."""
    result: Result


def pivotal(
    spec: StrategySpec, options: Sequence[str], ballot: Ballot, result: Result, terms: Terms | None
) -> tuple[Turn, ...]:
    """The personas without whom the result is another, each removed from the panel in turn."""
    turns = (
        Turn(vote.persona, None, settle(spec, options, _without(ballot, vote.persona), terms)) for vote in ballot.votes
    )
    return tuple(turn for turn in turns if _differs(turn.result, result))


def switches(
    spec: StrategySpec, options: Sequence[str], ballot: Ballot, result: Result, terms: Terms | None
) -> tuple[Turn, ...]:
    """The single changed votes, at the same confidence, that give another result.

    Those for the leader move to the runner-up, all others to the leader; on a tie, to each option that is level.
    """
    turns = (
        Turn(persona, option, settle(spec, options, _with(ballot, persona, option), terms))
        for persona, option in _moves(ballot, result)
    )
    return tuple(turn for turn in turns if _differs(turn.result, result))


def ranked(result: Result) -> tuple[str, ...]:
    """Options by score, highest first, then by name (for showing; it decides nothing)."""
    return tuple(sorted(result.tally, key=lambda option: (-result.tally[option], option)))


def _moves(ballot: Ballot, result: Result) -> Iterator[tuple[str, str]]:
    top = ranked(result)[:2]
    for vote in ballot.votes:
        if vote.option is None:
            continue
        for option in top:
            # From the leader to the runner-up, from anywhere to the leader.
            if option != vote.option and (option == top[0] or vote.option == top[0] or result.margin == 0.0):
                yield vote.persona, option


def _without(ballot: Ballot, persona: str) -> Ballot:
    return replace(
        ballot,
        votes=tuple(vote for vote in ballot.votes if vote.persona != persona),
        vetoes=tuple(veto for veto in ballot.vetoes if veto.persona != persona),
        eligible=tuple(name for name in ballot.eligible if name != persona),
    )


def _with(ballot: Ballot, persona: str, option: str) -> Ballot:
    moved = (replace(vote, option=option) if vote.persona == persona else vote for vote in ballot.votes)
    return replace(ballot, votes=tuple(moved))


def _differs(other: Result, result: Result) -> bool:
    return (other.kind, other.option) != (result.kind, result.option)
