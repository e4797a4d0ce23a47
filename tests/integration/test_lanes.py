"""The traced and the direct lane leave equal records; the traced one can be watched in Prefect."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from sqlalchemy import text

from domain.task import Lane, TaskStatus
from flows.orchestrate_task import run_claim
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from storage.leases import claim_one

CLEAR: dict[str, Any] = {
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
LARGE = {**CLEAR, "Amount": 3000, "Price": 6000, "Income": 400}
SPLIT = {**CLEAR, "Seniority": 0, "Home": "rent", "Time": 60, "Job": "freelance", "Assets": 0, "Income": 129}
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)

_TABLES: Mapping[str, str] = {
    "tasks": "status, answer, reason, fence, escalated",
    "subtasks": "subtask_id, status, action, reason",
    "snapshots": "subtask_id, round, hash, contexts, degraded",
    "proposals": "subtask_id, round, persona, option, confidence, struck, body",
    "decisions": "subtask_id, kind, option, action, strategy, margin, rounds, body - 'task_id' AS body",
    "verdicts": "key, subtask_id, hop, effect, policy_ids, policy_hash, body - 'approval_id' AS body",
    "approvals": "subtask_id, cause, shown, digest, role, status",
    "actions": "subtask_id, executor, request, status, fence, attempts, response, error",
    "records": "action, arguments",
    "events": "event, subtask_id, fence",
    "memories": "kind, text, data",
}


async def _run(runtime: Runtime, payload: dict[str, Any], lane: Lane) -> str:
    kind = runtime.catalog.task_type("credit_review")
    submitted = await submit_task(runtime.engine, kind, payload, principal="ann", lane=lane, memory_as_of=AS_OF)
    claim = await claim_one(runtime.engine, "test", submitted.task_id, seconds=60)
    assert claim is not None
    assert claim.lane is lane
    if lane is Lane.TRACED:
        await run_claim(runtime, claim, runtime.graphs())
    else:
        await run_task(runtime, claim.lease, DIRECT, runtime.graphs())
    return submitted.task_id


async def _left_behind(runtime: Runtime, task_id: str) -> dict[str, list[dict[str, Any]]]:
    found = {}
    async with runtime.engine.connect() as connection:
        for table, columns in _TABLES.items():
            key = "id" if table == "tasks" else "task_id"
            rows = await connection.execute(text(f"SELECT {columns} FROM {table} WHERE {key} = :id"), {"id": task_id})
            found[table] = sorted((dict(row) for row in rows.mappings()), key=repr)
    return found


async def _flow_runs(**wanted: Any) -> list[FlowRun]:
    async with get_client() as client:
        return await client.read_flow_runs(flow_run_filter=FlowRunFilter(**wanted))


@pytest.mark.usefixtures("prefect_api")
@pytest.mark.parametrize("payload", [CLEAR, LARGE, SPLIT], ids=["clear", "large", "split"])
async def test_both_lanes_leave_equal_records(runtime: Runtime, payload: dict[str, Any]) -> None:
    traced = await _left_behind(runtime, await _run(runtime, payload, Lane.TRACED))
    direct = await _left_behind(runtime, await _run(runtime, payload, Lane.DIRECT))
    assert traced["proposals"]
    assert traced == direct


@pytest.mark.usefixtures("prefect_api")
async def test_a_traced_run_is_named_by_its_task_with_its_rounds_below(runtime: Runtime) -> None:
    task_id = await _run(runtime, SPLIT, Lane.TRACED)
    [run] = await _flow_runs(name=FlowRunFilterName(any_=[task_id]))
    rounds = await _flow_runs(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]))
    left = await _left_behind(runtime, task_id)
    held = {row["round"] for row in left["snapshots"]}
    assert len(held) > 1
    assert {one.name for one in rounds} == {f"{task_id}/affordability/round-{number}" for number in held}
    assert all(one.state_name == "Completed" for one in rounds)


@pytest.mark.usefixtures("prefect_api")
async def test_a_parked_one_ends_as_awaiting_approval(runtime: Runtime) -> None:
    task_id = await _run(runtime, LARGE, Lane.TRACED)
    [run] = await _flow_runs(name=FlowRunFilterName(any_=[task_id]))
    assert run.state is not None
    assert (run.state.type.value, run.state_name) == ("COMPLETED", "AwaitingApproval")
    assert (await _left_behind(runtime, task_id))["tasks"][0]["status"] == TaskStatus.PARKED
