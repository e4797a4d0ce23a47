"""Counterfactual replay: recorded proposals decided once more under another strategy. Nobody is asked again."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.decision import Result, ResultKind
from domain.proposal import Option, Proposal
from domain.task_type import CertifySpec, StrategySpec, SubtaskSpec
from negotiation.conclusion import Conclusion, Floor, conclude, floor_of
from negotiation.learned import Learned
from negotiation.settle import Terms, certification, count_ballot, judge

COMPARED = ("kind", "option", "tally", "margin", "score")
"""What a replay of the recorded strategy has to give back exactly."""


@dataclass(frozen=True, slots=True)
class Record:
    """A recorded decision with every round that led to it."""

    task_id: str
    subtask_id: str
    options: tuple[Option, ...]
    """As declared, before any counter-proposal."""
    eligible: tuple[str, ...]
    rounds: Sequence[Sequence[Proposal]]
    """Proposals that counted, by round; the blind one first."""
    overdue: bool
    """Whether the deadline had passed when the last round was decided on."""
    stake: float | None
    recorded: Result
    spec: SubtaskSpec
    right: str | None
    """The action that turned out to be right; None where it is not known."""
    _floors: dict[int, Floor] = field(default_factory=dict, repr=False, compare=False)

    def floor(self, number: int) -> Floor:
        """The round as it stood. A deadline can have passed at the last recorded round only."""
        if number not in self._floors:
            late = self.overdue and number == len(self.rounds) - 1
            rounds = self.rounds[: number + 1]
            self._floors[number] = floor_of(self.spec, self.options, self.eligible, rounds, late)
        return self._floors[number]


@dataclass(frozen=True, slots=True)
class Redecided:
    """What another strategy makes of the recorded rounds."""

    kind: ResultKind | None
    """None where it is not identified."""
    option: str | None
    """The option taken; None for a person, and where it is not identified."""
    action: str | None
    """The option's action."""
    leader: str | None
    """The action that leads on the last identified ballot, whether or not it may decide; None on a tie."""
    score: float
    rounds: int
    """How many recorded rounds were used."""
    identified: bool
    """False where the strategy asks for a round that was never held: what would have been said is not known."""
    reason: str
    result: Result
    """On the last identified ballot."""

    @property
    def decided(self) -> bool:
        """Whether it takes an option without a person."""
        return self.option is not None


def redecide(record: Record, spec: StrategySpec, learned: Learned | None) -> Redecided:
    """Decide the record under another strategy, round by round as the lifecycle does.

    A strategy that ends earlier than the record did does not see the later rounds. Raises ValueError for a
    configuration that `check_strategy` refuses, and for a record without rounds.
    """
    terms = Terms(learned, record.stake)
    for number in range(max(1, len(record.rounds))):
        floor = record.floor(number)
        end = conclude(spec, floor, terms)
        if end.step.go != "again":
            break
    identified = end.step.go != "again" or _is_a_persons(spec)
    return Redecided(
        kind=end.result.kind if identified else None,
        option=end.option.name if end.option is not None else None,
        action=end.option.action if end.option is not None else None,
        leader=_leader(spec, floor, end, terms),
        score=end.result.score,
        rounds=number + 1,
        identified=identified,
        reason=end.step.reason,
        result=end.result,
    )


def _is_a_persons(spec: StrategySpec) -> bool:
    """Whether a person decides however the further rounds go: a certified threshold holds for the blind vote alone.

    What would have been said is not known; who decides is. A veto or a lost quorum changes nothing in that, and a
    stalemate only where there is a safe default.
    """
    return certification(spec) is not None and spec.safe_default is None


def _leader(spec: StrategySpec, floor: Floor, end: Conclusion, terms: Terms) -> str | None:
    name = end.result.option
    if end.result.kind in (ResultKind.NO_QUORUM, ResultKind.BLOCKED):
        # Such a result names nobody: the count behind it does.
        name = count_ballot(spec, _names(floor), floor.ballot, terms).leader
    return next((option.action for option in floor.options if option.name == name), None)


@dataclass(frozen=True, slots=True)
class BlindVote:
    """What a strategy makes of the blind vote, which every record holds."""

    leader: str | None
    """The action that leads, whether or not it may decide; None on a tie."""
    decided: bool
    """Whether its certified threshold lets it decide without a person."""


def count_blind(
    record: Record, spec: StrategySpec, learned: Learned | None, certified: CertifySpec | None = None
) -> BlindVote:
    """Count the blind round alone. `certified`: the bound to keep where the strategy itself asks for none."""
    floor, terms = record.floor(0), Terms(learned, record.stake)
    bound = certification(spec) or certified
    found = judge(spec.model_copy(update={"certify": bound}), _names(floor), floor.ballot, terms)
    leader = found.counted.count.leader
    action = next((option.action for option in floor.options if option.name == leader), None)
    return BlindVote(action, bound is not None and found.kind is ResultKind.DECIDED)


def _names(floor: Floor) -> list[str]:
    return [option.name for option in floor.options]


def mismatch(record: Record, again: Redecided) -> str | None:
    """How a replay of the recorded strategy differs from the record; None where it gives it back exactly."""
    if not again.identified:
        return f"asks for round {again.rounds}, which was not held"
    if again.rounds != len(record.rounds):
        return f"ends after {again.rounds} of {len(record.rounds)} rounds"
    # A field that a record of an earlier version does not have cannot differ.
    held = [name for name in COMPARED if name in record.recorded.model_fields_set]
    differing = [name for name in held if getattr(record.recorded, name) != getattr(again.result, name)]
    return f"differs in {', '.join(differing)}" if differing else None


def was_overdue(result: Result, step_reason: str) -> bool:
    """Whether the deadline had passed when this was decided, from the words of a record that does not say so itself."""
    carried = any("its last valid vote before the deadline" in weight.source for weight in result.weights)
    return carried or "the deadline has passed" in step_reason
