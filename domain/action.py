"""A side effect and its ledger row."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, Field

from domain.model import Frozen


class ActionStatus(StrEnum):
    """Where an action stands. `sending`: it may have happened; the last three are ends, as is `done`."""

    INTENT = "intent"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


ENDED_ACTION = frozenset({ActionStatus.DONE, ActionStatus.FAILED, ActionStatus.UNKNOWN})


class ExecutorKind(StrEnum):
    """What an executor's target can do about repeats."""

    DEDUP = "dedup"
    """It honours the key: a repeat changes nothing."""
    FENCED = "fenced"
    """It honours the key, and refuses a fence older than the newest it has seen."""
    QUERY = "query"
    """It can be asked by key whether it happened."""
    BLIND = "blind"
    """None of these."""


UNDO = ":compensate"
"""Ends the name of a step that undoes its subtask's."""


class Ability(Frozen):
    """What the target of an executor with certain parameters can do."""

    kind: ExecutorKind
    target: str
    """Names the target; its circuit breaker goes by it."""
    max_send_seconds: float = Field(default=0.0, ge=0.0)
    """A `query` target's "not there" is believed this long after a send: the send may still be under way before."""
    call_seconds: float = Field(default=15.0, gt=0.0)
    """How long one call may take: the stage that makes it is given as long."""


class ActionRequest(Frozen):
    """What an executor is asked to do."""

    task_id: str
    subtask_id: str
    """The step: a subtask, or `<subtask>:compensate`."""
    idempotency_key: str
    action: str
    arguments: dict[str, Any]
    fence: int
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The task type's `executor_parameters`."""


class Parametrised(Protocol):
    """What the catalog asks of an executor's class."""

    @property
    def parameters(self) -> type[BaseModel]:
        """The model that a task type's parameters have to fit when they are loaded."""
        ...


class NoParameters(Frozen):
    """Of an executor that takes none."""


class Executor(Protocol):
    """A way to act on the outside.

    Raises ExecutorError (it did not happen and may be tried again), SendInDoubt (it may have happened) or
    ExecutorRejected (refused for good).
    """

    name: str

    def ability(self, parameters: Mapping[str, Any]) -> Ability:
        """What the target can do. Raises ExecutorRejected where the parameters cannot be used."""
        ...

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Act, and answer with a plain-JSON response."""
        ...


@runtime_checkable
class Askable(Protocol):
    """An executor whose target can be asked what became of a key."""

    async def find(self, request: ActionRequest) -> dict[str, Any] | None:
        """The response to give where it happened, None where the target does not know of it. Raises ExecutorError."""
        ...
