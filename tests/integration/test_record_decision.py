"""The recorded decision: once for its key, and never past the lease."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.action import ActionRequest, Askable, ExecutorKind
from domain.errors import LeaseLost
from domain.task import Lane
from orchestration.run import Runtime
from orchestration.submission import submit_task
from storage.leases import claim_one
from tasks.executors.record_decision import RecordDecision
from tests.integration.test_lifecycle import APPLICATION


def _request(task_id: str, fence: int) -> ActionRequest:
    return ActionRequest(
        task_id=task_id,
        subtask_id="affordability",
        idempotency_key=f"{task_id}/affordability",
        action="approve",
        arguments={},
        fence=fence,
    )


async def _count(engine: AsyncEngine, task_id: str) -> int:
    async with engine.connect() as connection:
        sql = "SELECT count(*) FROM records WHERE task_id = :id"
        return int(await connection.scalar(text(sql), {"id": task_id}) or 0)


async def test_a_stale_run_records_nothing(runtime: Runtime) -> None:
    kind = runtime.catalog.task_type("credit_review")
    task_id = (await submit_task(runtime.engine, kind, APPLICATION, principal="ann", lane=Lane.DIRECT)).task_id
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    executor = RecordDecision(runtime.engine)
    assert executor.ability({}).kind is ExecutorKind.FENCED
    assert isinstance(executor, Askable)
    with pytest.raises(LeaseLost):
        await executor.execute(_request(task_id, claim.lease.fence - 1))
    assert await executor.find(_request(task_id, claim.lease.fence)) is None
    for _ in range(2):
        assert await executor.execute(_request(task_id, claim.lease.fence)) == {
            "status": "recorded",
            "action": "approve",
        }
    assert await executor.find(_request(task_id, claim.lease.fence)) is not None
    assert await _count(runtime.engine, task_id) == 1
