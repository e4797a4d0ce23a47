"""A side effect and its ledger row."""

from enum import StrEnum
from typing import Any, Protocol

from pydantic import Field

from domain.model import Frozen


class ActionStatus(StrEnum):
    """Where an action stands."""

    INTENT = "intent"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ExecutorKind(StrEnum):
    """What an executor's target can do about repeats."""

    DEDUP = "dedup"
    FENCED = "fenced"
    QUERY = "query"
    BLIND = "blind"


class ActionRequest(Frozen):
    """What an executor is asked to do."""

    task_id: str
    subtask_id: str
    idempotency_key: str
    action: str
    arguments: dict[str, Any]
    fence: int
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The task type's `executor_parameters`."""


class Executor(Protocol):
    """A way to act on the outside. Raises ExecutorError (may be tried again) or ExecutorRejected."""

    name: str
    kind: ExecutorKind

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Act, and answer with a plain-JSON response."""
        ...
