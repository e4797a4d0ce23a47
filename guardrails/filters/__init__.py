"""The filters, by name. Each is built for a task type, since what is protected depends on it."""

from collections.abc import Callable, Mapping

from domain.ports import Guard
from domain.task_type import TaskType
from guardrails.filters import protected_attributes, secrets

FILTERS: Mapping[str, Callable[[TaskType], Guard]] = {
    "protected_attributes": protected_attributes.build,
    "secrets": secrets.build,
}
