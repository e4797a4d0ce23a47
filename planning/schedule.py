"""What of a plan may start now, and what never will."""

from collections.abc import Mapping
from graphlib import TopologicalSorter

from domain.model import Frozen
from domain.plan import Plan, PlannedSubtask
from domain.task import SubtaskStatus
from planning.conditions import holds, parse

_ENDED_BADLY = frozenset({SubtaskStatus.DENIED, SubtaskStatus.FAILED, SubtaskStatus.SKIPPED})


class Advance(Frozen):
    """Pending subtasks that changed their prospects, each in the plan's order."""

    ready: tuple[str, ...]
    """May start now."""
    skip: tuple[str, ...]
    """Will never run: the condition does not hold, or a dependency did not end well."""


def advance(plan: Plan, statuses: Mapping[str, SubtaskStatus], actions: Mapping[str, str | None]) -> Advance:
    """The next step of the plan; a subtask without a status is pending. A skip carries on to all that depend on it.

    Raises graphlib.CycleError and, for a broken condition, ValueError.
    """
    subtasks = {subtask.id: subtask for subtask in plan.subtasks}
    status = {name: statuses.get(name, SubtaskStatus.PENDING) for name in subtasks}
    ready, skip = set(), set()
    for name in TopologicalSorter({name: subtask.depends_on for name, subtask in subtasks.items()}).static_order():
        if status[name] is not SubtaskStatus.PENDING:
            continue
        if _never(subtasks[name], status, actions):
            status[name] = SubtaskStatus.SKIPPED
            skip.add(name)
        elif all(status[dependency] is SubtaskStatus.DONE for dependency in subtasks[name].depends_on):
            ready.add(name)
    return Advance(
        ready=tuple(name for name in subtasks if name in ready),
        skip=tuple(name for name in subtasks if name in skip),
    )


def _never(subtask: PlannedSubtask, status: Mapping[str, SubtaskStatus], actions: Mapping[str, str | None]) -> bool:
    if any(status[dependency] in _ENDED_BADLY for dependency in subtask.depends_on):
        return True
    if subtask.when is None or status[parse(subtask.when).subtask] is not SubtaskStatus.DONE:
        return False
    return not holds(subtask.when, actions)
