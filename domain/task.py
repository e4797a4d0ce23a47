"""A task and where it stands."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.model import Frozen


class Lane(StrEnum):
    """How a task's stages run: each as a Prefect run, or directly."""

    TRACED = "traced"
    DIRECT = "direct"


class TaskStatus(StrEnum):
    """Where a task stands; the last six are end states."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    PARKED = "parked"
    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    QUARANTINED = "quarantined"


class SubtaskStatus(StrEnum):
    """Where a subtask stands. `skipped`: its condition did not hold or a dependency did not end well."""

    PENDING = "pending"
    RUNNING = "running"
    PARKED = "parked"
    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"
    SKIPPED = "skipped"


END_STATES = frozenset(TaskStatus) - {TaskStatus.SUBMITTED, TaskStatus.RUNNING, TaskStatus.PARKED}
ENDED_SUBTASK = frozenset({SubtaskStatus.DONE, SubtaskStatus.DENIED, SubtaskStatus.FAILED, SubtaskStatus.SKIPPED})
UNDONE = "undone"
"""The reason of a subtask that was done and whose action was undone; in an episode, what that action was."""


def was_undone(status: str, reason: str | None) -> bool:
    """Whether a subtask that stands so was done and undone again."""
    return status == SubtaskStatus.DONE and reason == UNDONE


class Task(Frozen):
    """A task as its row holds it."""

    id: str
    """UUID; also the LangGraph thread."""
    task_type: str
    type_version: int
    payload: dict[str, Any]
    """The submitter's JSON, checked against the task type's schema."""
    principal: str
    """Who submitted."""
    lane: Lane
    status: TaskStatus
    seed: int
    batch_id: str | None
    case_key: str | None
    """The case's own id in its file, for outcomes in bulk."""
    memory_as_of: datetime
    """Recall sees only what was known before."""
    created_at: datetime
    deadline_at: datetime
    fence: int
    forked_from: str | None = None
    """The task whose records it goes on from."""
    fork_stage: str | None = None
    """`<subtask>/<stage>`: where it goes on."""
    dry_run: bool = False
    """Whether its actions are only recorded."""


class Lease(Frozen):
    """The right to write for one task: every write of the run carries the fence."""

    task_id: str
    owner: str
    fence: int
