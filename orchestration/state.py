"""The graphs' states: ids and small plain-JSON values; facts live in tables."""

from typing import TypedDict


class TaskState(TypedDict, total=False):
    """Of the task graph (thread = task id)."""

    task_id: str
    denied: str | None
    """Why it was refused at the door."""
    dispatch: str
    """wait, ended, or stopped."""
    halted: str | None
    """cancelled or expired."""
    compensated: str
    """wait or closed."""
    status: str
    """The end state."""


class SubtaskState(TypedDict, total=False):
    """Of a subtask graph (thread = task id / subtask id)."""

    subtask_id: str
    round: int
    go: str
    cause: str
    effect: str
    answer: str
    ended: str
