"""One application through the whole lifecycle on the direct lane."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from control_plane.services import inbox
from domain.errors import AnswerRefused
from domain.task import Lane, TaskStatus
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from storage.leases import claim_one
from storage.repositories.negotiation import is_overdue

APPLICATION: dict[str, Any] = {
    "Seniority": 15,
    "Home": "owner",
    "Time": 36,
    "Age": 44,
    "Marital": "married",
    "Records": "no",
    "Job": "fixed",
    "Expenses": 60,
    "Income": 220,
    "Assets": 6000,
    "Debt": 0,
    "Amount": 800,
    "Price": 1600,
}


async def _submit(runtime: Runtime, payload: dict[str, Any]) -> str:
    kind = runtime.catalog.task_type("credit_review")
    submitted = await submit_task(runtime.engine, kind, payload, principal="ann", lane=Lane.DIRECT)
    return submitted.task_id


async def _run(runtime: Runtime, task_id: str) -> TaskStatus:
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    return await run_task(runtime, claim.lease, DIRECT, runtime.graphs())


async def _events(runtime: Runtime, task_id: str) -> list[str]:
    async with runtime.engine.connect() as connection:
        found = await connection.execute(
            text("SELECT event FROM events WHERE task_id = :id ORDER BY seq"), {"id": task_id}
        )
        return [row.event for row in found]


async def _count(runtime: Runtime, table: str, task_id: str) -> int:
    async with runtime.engine.connect() as connection:
        return int(
            await connection.scalar(text(f"SELECT count(*) FROM {table} WHERE task_id = :id"), {"id": task_id}) or 0
        )


async def test_a_clear_application_ends_by_itself(runtime: Runtime) -> None:
    task_id = await _submit(runtime, APPLICATION)
    assert await _run(runtime, task_id) is TaskStatus.DONE
    events = await _events(runtime, task_id)
    assert events[:2] == ["task.submitted", "intake.accepted"]
    assert events[-1] == "report.done"
    assert await _count(runtime, "records", task_id) == 1
    assert await _count(runtime, "memories", task_id) == 1


async def test_a_large_amount_parks_and_an_answer_takes_it_to_its_end(runtime: Runtime) -> None:
    task_id = await _submit(runtime, {**APPLICATION, "Amount": 3000, "Price": 6000, "Income": 400})
    assert await _run(runtime, task_id) is TaskStatus.PARKED
    assert await _count(runtime, "records", task_id) == 0
    assert await claim_one(runtime.engine, "test", task_id, seconds=30) is None
    with pytest.raises(AnswerRefused):
        await inbox.approve(runtime.engine, task_id, principal="ann", reason="mine", action="approve", digest=None)
    await inbox.approve(
        runtime.engine, task_id, principal="bob", reason="seen the papers", action="approve", digest=None
    )
    assert await _run(runtime, task_id) is TaskStatus.DONE
    assert await _count(runtime, "records", task_id) == 1


async def test_limits_of_a_negotiation_count_from_its_first_round(runtime: Runtime) -> None:
    task_id = await _submit(runtime, APPLICATION)
    await _run(runtime, task_id)
    async with runtime.engine.connect() as connection:
        assert await is_overdue(connection, task_id, "affordability", timedelta(0))
        assert not await is_overdue(connection, task_id, "affordability", timedelta(days=1))
        assert not await is_overdue(connection, task_id, "affordability", None)
