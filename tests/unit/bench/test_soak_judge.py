"""The judge of a soak finds what is lost, doubled, unsettled or unapproved."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.soak.judge import judge, memory_of
from bench.soak.load import Load
from bench.soak.parts import Worker
from bench.soak.variants import CALLED, PILOT

SENT = datetime(2026, 1, 1, tzinfo=UTC)


def row(number: int, **given: Any) -> dict[str, Any]:
    return {
        "id": f"task-{number}",
        "key": f"soak-{number}",
        "task_type": PILOT,
        "lane": "direct",
        "status": "done",
        "reason": None,
        "due": False,
        "amount": 800.0,
        "done_action": "approve",
        "sent": SENT,
        "records": 1,
        "asked": 0,
        "consented": None,
        **given,
    }


@pytest.fixture
def load(tmp_path: Path) -> Load:
    made = Load(tmp_path / "acknowledged.jsonl")
    for number in (0, 1):
        made.wanted[f"soak-{number}"] = None  # type: ignore[assignment]
        made.note(f"soak-{number}", f"task-{number}")
    return made


CALLED_ONCE = Counter({"task-1/affordability": 1})


def found(load: Load, **given: Any) -> list[str]:
    return judge(load, [row(0, **given), row(1, task_type=CALLED, records=0)], CALLED_ONCE)


def test_nothing_is_found_where_everything_holds(load: Load) -> None:
    assert found(load) == []
    assert found(load, status="parked", records=0) == []
    assert found(load, amount=3000.0, asked=1, consented=SENT - timedelta(seconds=1)) == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"id": "task-9"}, "acknowledged as task task-0"),
        ({"status": "running", "records": 0}, "neither ended nor been parked"),
        ({"status": "parked", "records": 0, "due": True}, "neither ended nor been parked"),
        ({"status": "quarantined", "records": 0, "reason": "why"}, "no fault of a task: why"),
        ({"records": 0}, "had 0 effects"),
        ({"records": 2}, "had 2 effects"),
        ({"status": "denied"}, "had 1 effects"),
        ({"amount": 3000.0}, "without the consent"),
        ({"asked": 1, "consented": SENT + timedelta(seconds=1)}, "without the consent"),
    ],
)
def test_each_violation_is_named(load: Load, given: dict[str, Any], named: str) -> None:
    (problem,) = found(load, **given)
    assert named in problem


def test_effects_at_the_target_are_counted(load: Load) -> None:
    tasks = [row(0), row(1, task_type=CALLED, records=0)]
    assert "had 0 effects" in judge(load, tasks, Counter())[0]
    assert "happened 2 times" in judge(load, tasks, Counter({"task-1/affordability": 2}))[0]
    assert "no task" in judge(load, tasks, CALLED_ONCE + Counter({"task-7/affordability": 1}))[0]


def test_a_submit_that_got_two_tasks_is_found(load: Load) -> None:
    load.note("soak-0", "task-5")
    assert "as task task-0 and as task task-5" in found(load)[0]


def test_memory_that_grows_is_found() -> None:
    worker = Worker("kept", None, Path())  # type: ignore[arg-type]
    worker.memory = [(float(second), 300.0) for second in range(0, 600, 2)]
    assert memory_of(worker)[1] == []
    worker.memory = [(float(second), 300.0 + second) for second in range(0, 600, 2)]
    assert "grew" in memory_of(worker)[1][0]
