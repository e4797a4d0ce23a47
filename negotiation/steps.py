"""What follows a round: another one, an end, or a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from domain.decision import Result, ResultKind
from domain.model import Frozen
from domain.proposal import Option, Proposal
from domain.task_type import OnDeadline, StrategySpec
from negotiation.settle import Terms, certification, lacking
from negotiation.strategies import STRATEGIES
from negotiation.votes import Ballot, cast_ballots

_OPEN_TO_ROUNDS = frozenset({ResultKind.STALEMATE, ResultKind.BELOW_THRESHOLD})


_OSCILLATES = "stalemate: the votes are those of an earlier round again"


class Step(Frozen):
    """Where the negotiation goes."""

    go: Literal["again", "decided", "escalate", "failed"]
    """`failed`: the deadline has passed, and the task type says that this fails the subtask."""
    reason: str
    option: str | None = None
    """What is taken, where it is decided: the result's option or the safe default."""


@dataclass(frozen=True, slots=True)
class _Floor:
    """What the step depends on."""

    spec: StrategySpec
    options: Sequence[Option]
    widened: bool
    rounds: Sequence[Sequence[Proposal]]
    result: Result
    overdue: bool
    limit: int


def round_limit(spec: StrategySpec, terms: Terms | None = None) -> int:
    """Rounds at most, the blind one included: `rounds: auto` does not debate where debate was seen not to pay."""
    learned = terms.learned if terms is not None else None
    stays_blind = spec.auto_rounds and learned is not None and learned.debate_pays is False
    return 1 if stays_blind else spec.rounds


def next_step(
    spec: StrategySpec,
    options: Sequence[Option],
    widened: bool,
    rounds: Sequence[Sequence[Proposal]],
    result: Result,
    overdue: bool,
    terms: Terms | None = None,
) -> Step:
    """The step after `result`. `widened`: the last round's counter-proposals added an option."""
    if result.kind is ResultKind.DECIDED and not widened:
        return Step(go="decided", reason=result.reason, option=result.option)
    floor = _Floor(spec, options, widened, rounds, result, overdue, round_limit(spec, terms))
    stop = _stop(floor)
    state = _state(result, widened)
    again = Step(go="again", reason=f"{state}; round {len(rounds)} follows")
    if result.kind is ResultKind.STALEMATE or (stop == _OSCILLATES and _decides_alone(spec, terms)):
        return _on_stalemate(spec, state, stop, again)
    return again if stop is None else Step(go="escalate", reason=f"{state}; {stop}")


def past_deadline(spec: StrategySpec, on_deadline: OnDeadline, result: Result, step: Step) -> Step:
    """The declared outcome where the deadline has passed and the votes do not decide; a veto goes to a person still."""
    if step.go == "decided" or on_deadline == "escalate":
        return step
    if on_deadline == "fail":
        return Step(go="failed", reason=f"{step.reason}; on_deadline fails the subtask")
    if spec.safe_default is None or result.kind is ResultKind.BLOCKED:
        return step
    reason = f"{step.reason}; on_deadline takes the safe default {spec.safe_default}"
    return Step(go="decided", reason=reason, option=spec.safe_default)


def _decides_alone(spec: StrategySpec, terms: Terms | None) -> bool:
    """Whether no certificate, and no calibration that is missing, sends what falls short to a person.

    A safe default in its place would be a decision that nothing certifies.
    """
    learned = terms.learned if terms is not None else None
    return certification(spec) is None and lacking(STRATEGIES[spec.name], learned) is None


def _on_stalemate(spec: StrategySpec, state: str, stop: str | None, again: Step) -> Step:
    """The first way out of a stalemate, in the task type's order, that is open; a person at last."""
    passed = [] if stop is None else [stop]
    for way in spec.stalemate:
        if way == "round" and stop is None:
            return again
        if way == "safe_default" and spec.safe_default is not None:
            reason = "; ".join([state, *passed, f"the safe default {spec.safe_default} is taken"])
            return Step(go="decided", reason=reason, option=spec.safe_default)
        if way == "human":
            break
    return Step(go="escalate", reason="; ".join([state, *(passed or ["a person decides"])]))


def _state(result: Result, widened: bool) -> str:
    text = f"{result.kind.value}: {result.reason}"
    return f"{text}; a counter-proposal joined that the panel has not voted on" if widened else text


def _stop(floor: _Floor) -> str | None:
    """Why no further round is held; None when one is."""
    result = floor.result
    if result.kind is ResultKind.NO_QUORUM:
        return "a round does not bring a quorum"
    if floor.overdue:
        return "the deadline has passed"
    if len(floor.rounds) >= floor.limit:
        if floor.limit < floor.spec.rounds:
            return "debate was seen not to pay on the resolved cases"
        return f"the round limit of {floor.limit} is reached"
    if floor.widened:
        return None
    if result.kind not in _OPEN_TO_ROUNDS:
        return "a veto stands until a person lifts it"
    if result.present <= 1 and result.eligible <= 1:
        return "a panel of one has nobody to hear"
    return _repeated(floor.options, floor.rounds)


def _repeated(options: Sequence[Option], rounds: Sequence[Sequence[Proposal]]) -> str | None:
    panel = {proposal.persona for given in rounds for proposal in given}
    vectors = [_vector(ballot) for ballot in cast_ballots(options, panel, rounds)]
    if vectors[-1] in vectors[-2:-1]:
        return "no vote that counts has changed since the round before"
    return _OSCILLATES if vectors[-1] in vectors[:-1] else None


def _vector(ballot: Ballot) -> tuple[tuple[str, str | None, float, tuple[str, ...]], ...]:
    return tuple((vote.persona, vote.option, vote.confidence, vote.ranking) for vote in ballot.votes)
