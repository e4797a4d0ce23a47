"""What comes of a deadline that passes: of a task, a subtask's negotiation, and a question to a person."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from control_plane.services import audit
from control_plane.services.replay import replay_task
from domain.settings import Settings
from domain.task import TaskStatus
from orchestration.recovery import recover
from tests.integration.acting import Acting, acting, write_steps
from tests.integration.five_subtasks import POLICIES

UNDECIDED = {"name": "plurality", "certify": {}, "safe_default": "uncovered"}
"""Nothing is certified, so a person is asked."""
ASKS_ALWAYS = """
@id("ASK-001")
@effect("require_approval")
@reason("A person looks at everything")
@owner("claims")
forbid (principal, action == Action::"arguments", resource)
when { !context.approved };
"""
WAIT = 0.7


def _catalog(
    root: Path, sla: dict[str, Any] | None = None, approvals: dict[str, Any] | None = None, **step: Any
) -> Path:
    given = {"deadline": "PT15M", "approval_deadline": f"PT{WAIT}S", **(sla or {})}
    steps = {"only": {"executor": "record_decision", "strategy": UNDECIDED, **step}}
    return write_steps(root, steps, sla=given, approvals=approvals or {})


async def _status(stage: Acting, task_id: str) -> tuple[str, str | None, str | None]:
    return (await stage.rows("SELECT status, action, reason FROM subtasks WHERE task_id = :id", task_id))[0]


async def _said(stage: Acting, task_id: str) -> list[str]:
    summary = (await stage.rows("SELECT summary FROM tasks WHERE id = :id", task_id))[0][0]
    return [one["event"] for one in summary.get("deadlines", ())]


async def _holds(stage: Acting, task_id: str, home: Path) -> None:
    """The audit chain verifies, and the task comes out of its records as it went in."""
    assert (await audit.verify(stage.runtime.engine, home, task_id, None)).problems == []
    found = await replay_task(stage.runtime.engine, stage.runtime.catalog, task_id)
    assert [(one["stage"], one["what"]) for one in found["stages"] if one["outcome"] != "equal"] == []


async def _overdue(stage: Acting, task_id: str) -> TaskStatus:
    """Run on once the question's time is over; recovery wakes the task."""
    assert await stage.run(task_id) is TaskStatus.PARKED
    return await _wake(stage, task_id)


async def _wake(stage: Acting, task_id: str) -> TaskStatus:
    await asyncio.sleep(WAIT + 0.1)
    assert await recover(stage.runtime.engine) >= 1
    return await stage.run(task_id)


async def test_silence_is_a_refusal_where_nothing_else_is_said(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        task_id = await stage.submit()
        assert await _overdue(stage, task_id) is TaskStatus.DENIED
        assert await _status(stage, task_id) == ("denied", None, "no answer came before the approval's deadline")
        assert await stage.events(task_id, "approve.%") == ["approve.asked", "approve.expired"]


async def test_silence_takes_the_safe_action(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path, approvals={"on_expiry": "default"})) as stage:
        task_id = await stage.submit()
        assert await _overdue(stage, task_id) is TaskStatus.DONE
        assert (await _status(stage, task_id))[:2] == ("done", "uncovered")
        assert await stage.rows("SELECT action FROM records WHERE task_id = :id", task_id) == [("uncovered",)]
        asked = "SELECT status, option, answered_by FROM approvals WHERE task_id = :id"
        assert await stage.rows(asked, task_id) == [("expired", "uncovered", None)]
        assert await _said(stage, task_id) == ["approve.defaulted"]
        await _holds(stage, task_id, tmp_path)


async def test_the_safe_action_passes_no_policy_that_asks_for_a_person(settings: Settings, tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, approvals={"on_expiry": "default"})
    (catalog / "claim" / "policies.cedar").write_text(POLICIES + ASKS_ALWAYS)
    async with acting(settings, catalog) as stage:
        task_id = await stage.submit()
        assert await _overdue(stage, task_id) is TaskStatus.DENIED
        assert (await _status(stage, task_id))[2] == "no answer came in time, and policy asks a person for uncovered"
        assert await stage.actions(task_id) == {}
        await _holds(stage, task_id, tmp_path)


@pytest.mark.parametrize(
    ("on_deadline", "ends", "subtask"),
    [("default", "done", ("done", "uncovered")), ("fail", "failed", ("failed", None)), ("escalate", "parked", None)],
)
async def test_a_negotiation_past_its_deadline(
    settings: Settings, tmp_path: Path, on_deadline: str, ends: str, subtask: tuple[str, str | None] | None
) -> None:
    catalog = _catalog(tmp_path, {"approval_deadline": "P1D"}, deadline="PT0.001S", on_deadline=on_deadline)
    async with acting(settings, catalog) as stage:
        task_id = await stage.submit()
        assert (await stage.run(task_id)).value == ends
        told = await stage.rows("SELECT data FROM events WHERE task_id = :id AND event = 'deadline.passed'", task_id)
        assert [(one[0]["declared"], one[0]["outcome"]) for one in told] == [(on_deadline, on_deadline)]
        if subtask is not None:
            assert (await _status(stage, task_id))[:2] == subtask
            assert await _said(stage, task_id) == ["deadline.passed"]
            await _holds(stage, task_id, tmp_path)


async def test_a_decision_stands_though_it_came_late(settings: Settings, tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, strategy={"name": "plurality"}, deadline="PT0.001S", on_deadline="fail")
    async with acting(settings, catalog) as stage:
        task_id = await stage.submit()
        assert await stage.run(task_id) is TaskStatus.DONE
        assert await stage.events(task_id, "deadline.%") == []


async def _shift(stage: Acting, task_id: str, seconds: int) -> None:
    """As if so much time had passed."""
    for column in ("created_at", "deadline_at", "parked_at"):
        sql = f"UPDATE tasks SET {column} = {column} - interval '{seconds} seconds' WHERE id = :id"
        await stage.execute(sql, task_id)


async def test_a_task_is_told_of_once_at_each_mark(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path, {"deadline": "PT100S"})) as stage:
        task_id = await stage.submit()
        for seconds, told in ((0, []), (79, []), (2, ["sla.warned"]), (20, ["sla.warned", "sla.breached"])):
            await _shift(stage, task_id, seconds)
            await asyncio.gather(*(recover(stage.runtime.engine) for _ in range(4)))
            await recover(stage.runtime.engine)
            assert await stage.events(task_id, "sla.%") == told
        assert await stage.run(task_id) is TaskStatus.EXPIRED
        assert await _said(stage, task_id) == ["sla.warned", "sla.breached"]
        await _shift(stage, task_id, -101)
        assert (await audit.verify(stage.runtime.engine, tmp_path, task_id, None)).problems == []


async def test_parked_time_counts_for_nothing(settings: Settings, tmp_path: Path) -> None:
    sla = {"deadline": "PT100S", "approval_deadline": "P1D"}
    async with acting(settings, _catalog(tmp_path, sla)) as stage:
        task_id = await stage.submit()
        assert await stage.run(task_id) is TaskStatus.PARKED
        await _shift(stage, task_id, 500)
        # Created, parked and due 500 s ago: the time since then is a person's.
        await recover(stage.runtime.engine)
        assert await stage.events(task_id, "sla.%") == []


async def test_a_task_that_ends_before_anybody_looked_is_told_of_with_its_end(
    settings: Settings, tmp_path: Path
) -> None:
    async with acting(settings, _catalog(tmp_path, {"deadline": "PT100S"})) as stage:
        task_id = await stage.submit()
        await _shift(stage, task_id, 200)
        assert await stage.run(task_id) is TaskStatus.EXPIRED
        assert await stage.events(task_id, "sla.%") == ["sla.warned", "sla.breached"]
        await recover(stage.runtime.engine)
        async with stage.runtime.engine.connect() as connection:
            sql = text("SELECT count(*) FROM events WHERE task_id = :id AND event LIKE 'sla.%'")
            assert await connection.scalar(sql, {"id": task_id}) == 2
