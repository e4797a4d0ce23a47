"""The words that the platform and the catalog use themselves: a text that is one of them names nobody."""

from collections.abc import Iterator
from enum import StrEnum

from catalog.load import Catalog
from domain.action import ActionStatus, ExecutorKind
from domain.approval import DEFAULT, DONE, NOT_DONE, QUESTIONS, ApprovalStatus
from domain.asking import ROLES, UNASSIGNED, Voice
from domain.calibration import CalibrationStatus
from domain.decision import ResultKind
from domain.guard import ABSTAIN, OBLIGATIONS, Effect, Hop
from domain.quotes import LEFT, listed_in
from domain.task import UNDONE, Lane, SubtaskStatus, TaskStatus
from domain.task_type import TaskType
from negotiation.rounds import declared_options
from storage.event_data import KEPT
from storage.schema import metadata

_FEW: tuple[type[StrEnum], ...] = (
    *(ActionStatus, ApprovalStatus, CalibrationStatus, Effect, ExecutorKind, Hop, Lane, ResultKind),
    *(SubtaskStatus, TaskStatus, Voice),
)
_WORDS = (LEFT, UNDONE, UNASSIGNED, ABSTAIN, DONE, NOT_DONE, DEFAULT, "outcome", *QUESTIONS, *ROLES, *OBLIGATIONS)


def vocabulary(catalog: Catalog) -> frozenset[str]:
    """Statuses, effects, roles, events and columns; task types with their subtasks, personas, options, fields and the
    values that they list. In small letters.
    """
    found = {*_WORDS, *KEPT, *(one.value for few in _FEW for one in few)}
    for event in KEPT:
        found.update(event.split("."))
    for table in metadata.sorted_tables:
        found |= {table.name, *(column.name for column in table.columns)}
    for name in catalog.names():
        found |= {*_of(catalog.task_type(name)), *catalog.gate(name).policies.by_id}
        for spec in catalog.task_type(name).plan.subtasks:
            found |= {one.persona.id for one in catalog.panelists(name, spec.id)}
    return frozenset(one.casefold() for one in found)


def _of(kind: TaskType) -> Iterator[str]:
    yield kind.name
    yield from kind.payload_schema.get("properties", ())
    yield from listed_in(kind.payload_schema)
    yield from kind.outcome_map
    yield from kind.asks.roles
    for spec in kind.plan.subtasks:
        yield spec.id
        for option in declared_options(spec):
            yield from (option.name, option.action)
