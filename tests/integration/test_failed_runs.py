"""Runs that fail by themselves: five in a row without getting on put a task away, and nothing is asked of it then."""

import uuid

import pytest
from sqlalchemy import text

from domain.approval import EFFECT_UNKNOWN
from domain.task import Lane, Lease
from orchestration.recovery import MAX_RUN_FAILURES, set_back
from orchestration.run import Runtime
from orchestration.submission import submit_task
from storage.audit import write_event
from storage.leases import claim_one
from tests.faults.control_tasks import ALONE

NO_PROGRESS = (
    "approve.answered",
    "control.pause",
    "sla.warned",
    "prefect.settled",
    "breaker.half_open",
    "execute.waits",
    "run.paused",
)
_ASK = text(
    "INSERT INTO approvals (id, task_id, subtask_id, cause, shown, digest, role, submitter, status, expires_at) "
    "VALUES (:id, :task, 'affordability', :cause, '{}', 'd', 'clerk', 'ann', 'open', now() + interval '1 day')"
)


async def _task(runtime: Runtime) -> str:
    kind = runtime.catalog.task_type("credit_review")
    return (await submit_task(runtime.engine, kind, ALONE, principal="ann", lane=Lane.DIRECT)).task_id


async def _claim(runtime: Runtime, task_id: str) -> Lease:
    async with runtime.engine.begin() as connection:
        await connection.execute(text("UPDATE tasks SET lease_until = NULL WHERE id = :id"), {"id": task_id})
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    return claim.lease


async def _leave(runtime: Runtime, lease: Lease, *events: str) -> None:
    async with runtime.engine.begin() as connection:
        for event in events:
            key = f"{event}:{lease.fence}"
            await write_event(connection, lease.task_id, key, event, {"approval": key}, fence=lease.fence, actor="test")


async def _fail(runtime: Runtime, task_id: str, times: int, *events: str) -> str:
    """So many runs that leave these events and fail; the task's status then."""
    for _ in range(times):
        lease = await _claim(runtime, task_id)
        await _leave(runtime, lease, *events)
        await set_back(runtime.engine, lease, ValueError("broken"))
    async with runtime.engine.connect() as connection:
        return str(await connection.scalar(text("SELECT status FROM tasks WHERE id = :id"), {"id": task_id}))


async def test_what_people_and_recovery_write_is_no_getting_on(runtime: Runtime) -> None:
    task_id = await _task(runtime)
    assert await _fail(runtime, task_id, MAX_RUN_FAILURES - 1, *NO_PROGRESS) == "running"
    assert await _fail(runtime, task_id, 1, *NO_PROGRESS) == "quarantined"


@pytest.mark.parametrize("fails_too", [True, False])
async def test_getting_on_counts_anew(runtime: Runtime, fails_too: bool) -> None:
    task_id = await _task(runtime)
    assert await _fail(runtime, task_id, MAX_RUN_FAILURES - 1) == "running"
    if fails_too:
        # This run got on before it failed: it is the first of a new row.
        assert await _fail(runtime, task_id, 1, "negotiate.again") == "running"
        assert await _fail(runtime, task_id, MAX_RUN_FAILURES - 2) == "running"
    else:
        await _leave(runtime, await _claim(runtime, task_id), "plan.done")
        assert await _fail(runtime, task_id, MAX_RUN_FAILURES - 1) == "running"
    assert await _fail(runtime, task_id, 1) == "quarantined"


@pytest.mark.parametrize("cause", ["stalemate", EFFECT_UNKNOWN])
async def test_nothing_is_asked_of_a_task_that_was_put_away(runtime: Runtime, cause: str) -> None:
    task_id = await _task(runtime)
    async with runtime.engine.begin() as connection:
        await connection.execute(_ASK, {"id": str(uuid.uuid4()), "task": task_id, "cause": cause})
    assert await _fail(runtime, task_id, MAX_RUN_FAILURES) == "quarantined"
    async with runtime.engine.connect() as connection:
        asked = await connection.scalar(text("SELECT status FROM approvals WHERE task_id = :id"), {"id": task_id})
        events = (await connection.execute(text("SELECT event FROM events WHERE task_id = :id"), {"id": task_id})).all()
    assert asked == "expired"
    assert [row.event for row in events].count("run.quarantined") == 1
