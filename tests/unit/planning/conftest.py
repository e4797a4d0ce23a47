"""A task type of a few subtasks, with any part replaced."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from domain.task_type import TaskType

FIELDS = {"amount": {"type": "number"}, "name": {"type": "string"}}


def subtask(subtask_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": subtask_id,
        "question": "?",
        "panel": ["ann", "bob"],
        "actions": [{"name": "approve"}, {"name": "decline"}],
        "context": {"working": ["amount"]},
        "strategy": {"name": "plurality"},
        "executor": "record",
        **changes,
    }


@pytest.fixture
def make() -> Callable[..., TaskType]:
    def build(*subtasks: dict[str, Any], **changes: Any) -> TaskType:
        plan = {"subtasks": list(subtasks or [subtask("first")])}
        base = {
            "name": "loan",
            "version": 1,
            "payload_schema": {"type": "object", "properties": FIELDS},
            "answer": plan["subtasks"][0]["id"],
            "sla": {"deadline": timedelta(minutes=15)},
            "plan": plan,
        }
        return TaskType.model_validate({**base, **changes})

    return build


@pytest.fixture
def step() -> Callable[..., dict[str, Any]]:
    return subtask
