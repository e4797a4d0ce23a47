"""What a round ends with: the options that stood, the result, the step and the option that is taken."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.decision import Result
from domain.proposal import Option, Proposal
from domain.task_type import OnDeadline, StrategySpec, SubtaskSpec
from negotiation.options import widen
from negotiation.settle import Terms, settle
from negotiation.steps import Step, next_step, past_deadline
from negotiation.votes import Ballot, cast_ballots


@dataclass(frozen=True, slots=True)
class Floor:
    """A round as it stands before a strategy reads it; the same for every strategy."""

    options: tuple[Option, ...]
    """What this round could vote for."""
    widened: bool
    """Whether its counter-proposals added an option."""
    rounds: Sequence[Sequence[Proposal]]
    """All rounds up to and with this one."""
    ballot: Ballot
    overdue: bool
    on_deadline: OnDeadline = "escalate"
    """What comes of it where it is overdue and not decided."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a strategy makes of a round."""

    options: tuple[Option, ...]
    result: Result
    step: Step
    option: Option | None
    """What is taken: the result's option or the safe default; None for another round, or a person."""


def open_options(
    spec: SubtaskSpec, declared: Sequence[Option], rounds: Sequence[Sequence[Proposal]]
) -> tuple[Option, ...]:
    """The declared options with the counter-proposals of these rounds."""
    options = tuple(declared)
    for proposals in rounds:
        options = widen(spec, options, proposals)
    return options


def floor_of(
    spec: SubtaskSpec,
    declared: Sequence[Option],
    eligible: Sequence[str],
    rounds: Sequence[Sequence[Proposal]],
    overdue: bool,
) -> Floor:
    """The last of these rounds. Raises ValueError when there is none."""
    if not rounds:
        raise ValueError("a negotiation has at least one round")
    options = open_options(spec, declared, rounds[:-1])
    widened = len(widen(spec, options, rounds[-1])) > len(options)
    ballot = cast_ballots(options, eligible, rounds, overdue)[-1]
    return Floor(options, widened, rounds, ballot, overdue, spec.on_deadline)


def conclude(strategy: StrategySpec, floor: Floor, terms: Terms | None = None) -> Conclusion:
    """The result of the round and what follows from it."""
    result = settle(strategy, [option.name for option in floor.options], floor.ballot, terms)
    step = next_step(strategy, floor.options, floor.widened, floor.rounds, result, floor.overdue, terms)
    if floor.overdue:
        step = past_deadline(strategy, floor.on_deadline, result, step)
    taken = next((option for option in floor.options if option.name == step.option), None)
    return Conclusion(floor.options, result, step, taken)
