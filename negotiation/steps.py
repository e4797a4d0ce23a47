"""What follows a round: another one, an end, or a person."""

from collections.abc import Sequence
from typing import Literal

from domain.decision import Result, ResultKind
from domain.model import Frozen
from domain.proposal import Option, Proposal
from domain.task_type import StrategySpec
from negotiation.votes import Ballot, cast_ballots

_OPEN_TO_ROUNDS = frozenset({ResultKind.STALEMATE, ResultKind.BELOW_THRESHOLD})


class Step(Frozen):
    """Where the negotiation goes."""

    go: Literal["again", "decided", "escalate"]
    reason: str


def next_step(
    spec: StrategySpec,
    options: Sequence[Option],
    widened: bool,
    rounds: Sequence[Sequence[Proposal]],
    result: Result,
    overdue: bool,
) -> Step:
    """The step after `result`. `widened`: the last round's counter-proposals added an option.

    `spec.rounds` counts every round, the blind round 0 included.
    """
    if result.kind is ResultKind.DECIDED and not widened:
        return Step(go="decided", reason=result.reason)
    stop = _stop(spec, options, widened, rounds, result, overdue)
    if stop is not None:
        return Step(go="escalate", reason=f"{_state(result, widened)}; {stop}{_default(spec, result)}")
    return Step(go="again", reason=f"{_state(result, widened)}; round {len(rounds)} follows")


def _state(result: Result, widened: bool) -> str:
    text = f"{result.kind.value}: {result.reason}"
    return f"{text}; a counter-proposal joined that the panel has not voted on" if widened else text


def _default(spec: StrategySpec, result: Result) -> str:
    if spec.safe_default is None or result.kind is not ResultKind.STALEMATE:
        return ""
    return f"; the safe default is {spec.safe_default}"


def _stop(
    spec: StrategySpec,
    options: Sequence[Option],
    widened: bool,
    rounds: Sequence[Sequence[Proposal]],
    result: Result,
    overdue: bool,
) -> str | None:
    """Why no further round is held; None when one is."""
    if result.kind is ResultKind.NO_QUORUM:
        return "a round does not bring a quorum"
    if overdue:
        return "the deadline has passed"
    if len(rounds) >= spec.rounds:
        return f"the round limit of {spec.rounds} is reached"
    if widened:
        return None
    if result.kind not in _OPEN_TO_ROUNDS:
        return "a veto stands until a person lifts it"
    if result.present <= 1 and result.eligible <= 1:
        return "a panel of one has nobody to hear"
    return _repeated(options, rounds)


def _repeated(options: Sequence[Option], rounds: Sequence[Sequence[Proposal]]) -> str | None:
    panel = {proposal.persona for given in rounds for proposal in given}
    vectors = [_vector(ballot) for ballot in cast_ballots(options, panel, rounds)]
    last = len(vectors) - 1
    for number in range(last - 1, -1, -1):
        if vectors[number] == vectors[last]:
            if number == last - 1:
                return "no vote that counts has changed since the round before"
            return f"stalemate: the votes are those of round {number} again"
    return None


def _vector(ballot: Ballot) -> tuple[tuple[str, str | None, float], ...]:
    return tuple((vote.persona, vote.option, vote.confidence) for vote in ballot.votes)
