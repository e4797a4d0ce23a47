"""The filters, by name. Each is built for a task type, since what is protected depends on it."""

from collections.abc import Callable, Mapping

from domain.ports import AsyncGuard, Guard
from domain.task_type import TaskType
from guardrails.filters import (
    form,
    human_in_the_loop,
    injection,
    judge,
    leaving_secrets,
    middleware,
    pii,
    presidio,
    protected_attributes,
    secrets,
)

FILTERS: Mapping[str, Callable[[TaskType], Guard | AsyncGuard]] = {
    "protected_attributes": protected_attributes.build,
    "secrets": secrets.build,
    "leaving_secrets": leaving_secrets.build,
    "pii": pii.build,
    "presidio": presidio.build,
    "form": form.build,
    "injection": injection.build,
    "judge": judge.build,
    "middleware": middleware.build,
    "human_in_the_loop": human_in_the_loop.build,
}
"""One that the task type has not chosen stands at no hop."""
