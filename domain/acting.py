"""How a task type says what is done when acting goes wrong."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from domain.model import Frozen


class NamedExecutor(NamedTuple):
    """An executor that a subtask names."""

    executor: str
    parameters: Mapping[str, Any]
    place: tuple[str, ...]
    """Of the parameters, in the subtask."""


class FallbackSpec(Frozen):
    """The executor that acts while the breaker of the subtask's own is open."""

    executor: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class BreakerSpec(Frozen):
    """When an executor's target is left alone: its circuit breaker."""

    failures: int = Field(default=5, ge=1, le=100)
    """So many in a row open it."""
    wait: timedelta = Field(default=timedelta(seconds=30), gt=timedelta(0))
    """After this one attempt is let through; it closes the breaker, or opens it anew."""


class CompensateSpec(Frozen):
    """How what a subtask did is undone. A bare name is an action for the subtask's own executor."""

    executor: str | None = None
    """The subtask's own where none is named."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Of `executor`; without one, the subtask's `executor_parameters`."""
    action: str = "compensate"
    """What the executor is asked for."""

    @model_validator(mode="before")
    @classmethod
    def _read_name(cls, data: Any) -> Any:
        return {"action": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _check_parameters(self) -> "CompensateSpec":
        if self.parameters and self.executor is None:
            raise ValueError("parameters stand beside an executor: name it")
        return self
