"""A task's plan: what to decide, in which order, by when."""

from datetime import datetime

from domain.model import Frozen


class PlannedSubtask(Frozen):
    """One step with its panel and dependencies resolved."""

    id: str
    panel: tuple[str, ...]
    depends_on: tuple[str, ...]
    when: str | None
    required: bool
    deadline_at: datetime


class Plan(Frozen):
    """The subtasks of a task in topological order."""

    planner: str
    subtasks: tuple[PlannedSubtask, ...]
