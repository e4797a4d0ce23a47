"""From stored decisions to what is replayed, and the record replayed as it was decided."""

from collections.abc import Mapping

from domain.calibration import Calibration
from domain.decision import Result, ResultKind
from domain.proposal import Option
from domain.task_type import StrategySpec, SubtaskSpec
from evaluation.compared import Choice
from negotiation.learned import Learned, learned_from
from negotiation.replay import Record, Redecided, mismatch, redecide, was_overdue
from storage.repositories.calibrations import Standing
from storage.repositories.replay import RecordedDecision
from tasks.learning import standing_learned

OVERTAKEN = "counter_proposal"
"""Counted among the kinds of result that go to a person: an option joined that nobody could vote on any more."""

_UNKNOWN_THRESHOLD = "no certified threshold stood when it was recorded"


def to_record(subtask: SubtaskSpec, row: RecordedDecision) -> Record:
    """The row as it is replayed."""
    recorded = Result.model_validate(row.result)
    options = tuple(Option.model_validate(option) for option in row.options)
    number = isinstance(row.stake, int | float) and not isinstance(row.stake, bool)
    return Record(
        task_id=row.task_id,
        subtask_id=subtask.id,
        options=tuple(option for option in options if not option.arguments),
        eligible=tuple(row.eligible),
        rounds=row.rounds,
        overdue=was_overdue(recorded, row.step),
        stake=float(row.stake) if number else None,
        recorded=recorded,
        spec=subtask,
        right=row.right_action,
    )


def replay_recorded(by_version: Mapping[int, Calibration], record: Record, row: RecordedDecision) -> Redecided | str:
    """The record decided once more as it was decided; where that does not give it back, how it differs."""
    version = record.recorded.calibration
    if version is not None and version not in by_version:
        return f"calibration {version}, which it names, is not stored"
    learned = None
    if version is not None:
        # A threshold that did not stand then does not stand now, whatever became of the calibration since.
        gone = _UNKNOWN_THRESHOLD if record.recorded.certified is None else None
        learned = learned_from(by_version[version], gone)
    try:
        again = redecide(record, StrategySpec.model_validate(row.strategy), learned)
    except ValueError as problem:
        return f"its strategy cannot be used any more: {problem}"
    return mismatch(record, again) or again


def as_recorded(row: RecordedDecision, record: Record, replayed: Redecided | str) -> Choice:
    """What was recorded, with the leader that the count behind it names."""
    leader = replayed.leader if isinstance(replayed, Redecided) else _named(row, record.recorded.option)
    overtaken = record.recorded.kind is ResultKind.DECIDED and row.option is None
    return Choice(OVERTAKEN if overtaken else record.recorded.kind, row.action, leader, identified=True)


def _named(row: RecordedDecision, option: str | None) -> str | None:
    return next((one["action"] for one in row.options if one["name"] == option), None)


def learned_for(standing: Standing | None, row: RecordedDecision, options: int) -> Learned | None:
    """What the case is decided with: thresholds stand for the panel and the options that they were certified for."""
    if standing is None:
        return None
    held = {proposal.persona: proposal.persona_version for given in row.rounds for proposal in given}
    # Of a persona that never answered the record knows no version.
    panel = {persona: held.get(persona, standing.calibration.panel.get(persona, 0)) for persona in row.eligible}
    return standing_learned(standing, panel, options)


def kind_of(again: Redecided) -> str:
    """The kind of result; a decision that a counter-proposal overtook has one of its own."""
    if again.kind is ResultKind.DECIDED and not again.decided:
        return OVERTAKEN
    return again.kind or ""
