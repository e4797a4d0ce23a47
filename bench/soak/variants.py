"""The catalog of a soak: the credit pilot as it is, and once more with its effects at a target outside."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from domain.settings import ROOT

PILOT = "credit_review"
CALLED = "credit_review_called"
CASES = ROOT / "pilots" / PILOT / "data" / "applications.csv"


def write_catalog(folder: Path, parameters: dict[str, Any]) -> Path:
    """Both task types; the second's executor is the webhook with these parameters."""
    folder.mkdir(parents=True)
    for name in (PILOT, CALLED):
        shutil.copytree(ROOT / "pilots" / PILOT, folder / name, ignore=shutil.ignore_patterns("data"))
    called = folder / CALLED
    for file in called.glob("*.cedar"):
        file.write_text(file.read_text().replace(f'Task::"{PILOT}"', f'Task::"{CALLED}"'))
    file = called / "task_type.yaml"
    kind = yaml.safe_load(file.read_text())
    kind["name"] = CALLED
    for subtask in kind["plan"]["subtasks"]:
        subtask |= {"executor": "webhook", "executor_parameters": parameters}
    file.write_text(yaml.safe_dump(kind, sort_keys=False))
    return folder
