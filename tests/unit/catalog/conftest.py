"""A pilot in a temporary folder, with any file replaced."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog.load import load_catalog
from domain.task_type import TaskType
from tasks.executors import EXECUTORS

PILOTS = Path(__file__).resolve().parents[3] / "pilots"

TASK_TYPE: dict[str, Any] = {
    "name": "loan",
    "version": 1,
    "payload_schema": {
        "type": "object",
        "additionalProperties": False,
        "required": ["amount", "job"],
        "properties": {
            "amount": {"type": "number", "minimum": 0},
            "job": {"type": ["string", "null"], "enum": ["fixed", "free", None]},
            "years": {"type": ["integer", "null"]},
            "late": {"type": "boolean"},
            "tags": {"$ref": "#/$defs/tags"},
            "code": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
        "$defs": {"tags": {"type": "array", "items": {"type": "string"}}},
    },
    "outcome_map": {"good": "approve", "bad": "decline"},
    "answer": "decide",
    "sla": {"deadline": "PT15M"},
    "cases": {"key": "id", "outcome": "status"},
    "plan": {
        "subtasks": [
            {
                "id": "decide",
                "question": "?",
                "panel": ["bob", "ann"],
                "actions": [{"name": "approve"}, {"name": "decline"}],
                "context": {"working": ["amount", "job"]},
                "strategy": {"name": "plurality"},
                "executor": "record_decision",
            }
        ]
    },
}


class Pilot:
    """A folder `loan` with a task type, two personas and policies."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "loan"
        self.value = copy.deepcopy(TASK_TYPE)
        (self.folder / "personas").mkdir(parents=True)
        (self.folder / "policies.cedar").write_text(
            (PILOTS / "credit_review" / "policies.cedar").read_text().replace("credit_review", "loan")
        )
        for name in ("ann", "bob"):
            self.persona(name, view=["amount", "job"])
        self.write()

    def persona(self, name: str, **changes: Any) -> None:
        proposal = {"option": "approve", "confidence": 0.9, "rationale": "so it is"}
        reasoner = {"kind": "recorded", "parameters": {"proposals": [proposal]}}
        base = {"id": name, "version": 1, "role": "r", "view": [], "reasoner": reasoner}
        (self.folder / "personas" / f"{name}.yaml").write_text(yaml.safe_dump({**base, **changes}))

    def write(self) -> None:
        (self.folder / "task_type.yaml").write_text(yaml.safe_dump(self.value, sort_keys=False))

    def text(self, content: str) -> None:
        (self.folder / "task_type.yaml").write_text(content)

    def load(self):
        return load_catalog(self.root, EXECUTORS)


@pytest.fixture
def pilot(tmp_path):
    return Pilot(tmp_path)


@pytest.fixture
def loan(pilot):
    return TaskType.model_validate(pilot.value)
