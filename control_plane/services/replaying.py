"""From stored decisions to what is replayed, and the record replayed as it was decided."""

from collections.abc import Mapping
from dataclasses import dataclass

from control_plane.services.compared_strategies import Rules
from domain.calibration import Calibration
from domain.decision import Result, ResultKind
from domain.proposal import Option
from domain.task_type import CertifySpec, StrategySpec, SubtaskSpec, amount_of
from evaluation.compared import Choice
from negotiation.learned import Learned, learned_from
from negotiation.replay import BlindVote, Record, Redecided, count_blind, mismatch, redecide, was_overdue
from storage.repositories.calibrations import Standing
from storage.repositories.replay import RecordedDecision
from tasks.calibrate import own_rule
from tasks.learning import standing_learned

OVERTAKEN = "counter_proposal"
"""Counted among the kinds of result that go to a person: an option joined that nobody could vote on any more."""


def to_record(subtask: SubtaskSpec, row: RecordedDecision) -> Record:
    """The row as it is replayed."""
    recorded = Result.model_validate(row.result)
    options = tuple(Option.model_validate(option) for option in row.options)
    return Record(
        task_id=row.task_id,
        subtask_id=subtask.id,
        options=tuple(option for option in options if not option.arguments),
        eligible=tuple(row.eligible),
        rounds=row.rounds,
        overdue=was_overdue(recorded, row.step) if row.overdue is None else row.overdue,
        stake=amount_of(row.stake),
        recorded=recorded,
        spec=subtask,
        right=row.right_action,
    )


@dataclass(frozen=True, slots=True)
class Replayed:
    """A record decided once more by the strategy that decided it."""

    again: Redecided | None
    """None where that does not give it back."""
    blind: BlindVote | None
    """What that strategy makes of the blind vote; None where it cannot be used any more."""
    problem: str | None
    """How it differs; None where it gives it back."""


def replay_recorded(by_version: Mapping[int, Calibration], record: Record, row: RecordedDecision) -> Replayed:
    """The record decided once more as it was decided."""
    version = record.recorded.calibration
    if version is not None and version not in by_version:
        return Replayed(None, None, f"calibration {version}, which it names, is not stored")
    learned = None
    if version is not None:
        # A threshold that did not stand then does not stand now, whatever became of the calibration since.
        learned = learned_from(by_version[version], row.withdrawn)
    try:
        spec = StrategySpec.model_validate(row.strategy)
        again, blind = redecide(record, spec, learned), count_blind(record, spec, learned)
    except ValueError as problem:
        return Replayed(None, None, f"its strategy cannot be used any more: {problem}")
    differs = mismatch(record, again)
    return Replayed(again if differs is None else None, blind, differs)


def blind_of(record: Record, rules: Rules, learned: Learned | None) -> BlindVote:
    """What a strategy makes of the blind vote; its certificate's own bound holds where it is asked for no other."""
    spec = rules.taken_over
    found = None if learned is None else learned.certificates.get(own_rule(spec))
    own = None if found is None else CertifySpec(alpha=found.alpha, delta=found.delta)
    return count_blind(record, spec, learned, own)


def under_its_rules(record: Record, rules: Rules) -> StrategySpec:
    """The strategy under the rules that the record was decided by: with a calibration the other one had taken over."""
    return rules.configured if record.recorded.calibration is None else rules.taken_over


def as_recorded(row: RecordedDecision, record: Record, replayed: Replayed) -> Choice:
    """What was recorded, with the leader that the count behind it names."""
    again = replayed.again
    leader = _named(row, record.recorded.option) if again is None else again.leader
    overtaken = record.recorded.kind is ResultKind.DECIDED and row.option is None
    return Choice(OVERTAKEN if overtaken else record.recorded.kind, row.action, leader, identified=True)


def _named(row: RecordedDecision, option: str | None) -> str | None:
    return next((one["action"] for one in row.options if one["name"] == option), None)


def learned_for(standing: Standing | None, row: RecordedDecision, subtask: SubtaskSpec) -> Learned | None:
    """What the case is decided with: thresholds stand for the panel and the subtask that they were certified for."""
    if standing is None:
        return None
    held = {proposal.persona: proposal.persona_version for given in row.rounds for proposal in given}
    # Of a persona that never answered the record knows no version.
    panel = {persona: held.get(persona, standing.calibration.panel.get(persona, 0)) for persona in row.eligible}
    return standing_learned(standing, panel, subtask)


def kind_of(again: Redecided) -> str:
    """The kind of result; a decision that a counter-proposal overtook has one of its own."""
    if again.kind is ResultKind.DECIDED and not again.decided:
        return OVERTAKEN
    return again.kind or ""
