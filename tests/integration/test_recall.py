"""What a run recalls: resolved tasks known before its `memory_as_of`, and a mark where memory is away."""

from pathlib import Path
from typing import Any

from sqlalchemy import text

from control_plane.services import inbox, outcomes
from domain.settings import Settings
from domain.task import Lane, TaskStatus
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from storage.leases import claim_one

APPLICATION: dict[str, Any] = {
    "Seniority": 12,
    "Home": "owner",
    "Time": 36,
    "Records": "no",
    "Job": "fixed",
    "Expenses": 60,
    "Income": 210,
    "Assets": 5000,
    "Debt": 0,
    "Amount": 700,
    "Price": 1500,
}


async def _run_one(runtime: Runtime) -> str:
    kind = runtime.catalog.task_type("credit_review")
    submitted = await submit_task(runtime.engine, kind, APPLICATION, principal="ann", lane=Lane.DIRECT)
    claim = await claim_one(runtime.engine, "test", submitted.task_id, seconds=30)
    assert claim is not None
    assert await run_task(runtime, claim.lease, DIRECT, runtime.graphs()) is TaskStatus.DONE
    return submitted.task_id


async def _snapshot(runtime: Runtime, task_id: str) -> Any:
    statement = text("SELECT contexts, degraded FROM snapshots WHERE task_id = :id AND round = 0")
    async with runtime.engine.connect() as connection:
        return (await connection.execute(statement, {"id": task_id})).one()


async def test_an_episode_is_recalled_once_its_outcome_is_known(runtime: Runtime) -> None:
    first = await _run_one(runtime)
    second = await _run_one(runtime)
    assert (await _snapshot(runtime, second)).contexts[0]["episodes"] == []
    types = {"credit_review": runtime.catalog.task_type("credit_review")}
    await outcomes.record_one(runtime.engine, types, first, "good", "ann")
    third = await _snapshot(runtime, await _run_one(runtime))
    recalled = third.contexts[0]["episodes"]
    assert [episode["outcome"] for episode in recalled] == ["good"]
    assert third.degraded is None


async def test_facts_of_the_pilot_are_recalled(runtime: Runtime) -> None:
    seen = await _snapshot(runtime, await _run_one(runtime))
    assert len(seen.contexts[0]["facts"]) == 3


async def test_with_qdrant_away_the_task_goes_on_and_says_so(dsn: str, tmp_path: Path) -> None:
    away = Settings(home=tmp_path, database_url=dsn, qdrant_url="http://127.0.0.1:9")
    async with open_runtime(away) as runtime:
        seen = await _snapshot(runtime, await _run_one(runtime))
    assert seen.degraded
    assert seen.contexts[0]["degraded"] == seen.degraded


async def test_an_outcome_that_came_while_a_person_was_asked_is_not_lost(runtime: Runtime) -> None:
    kind = runtime.catalog.task_type("credit_review")
    large = {**APPLICATION, "Amount": 3000, "Price": 6000, "Income": 400}
    task_id = (await submit_task(runtime.engine, kind, large, principal="ann", lane=Lane.DIRECT)).task_id
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    assert await run_task(runtime, claim.lease, DIRECT, runtime.graphs()) is TaskStatus.PARKED
    await outcomes.record_one(runtime.engine, {"credit_review": kind}, task_id, "good", "ann")
    await inbox.approve(runtime.engine, task_id, principal="bob", reason="seen", action="approve", digest=None)
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    assert await run_task(runtime, claim.lease, DIRECT, runtime.graphs()) is TaskStatus.DONE
    statement = text("SELECT known_at, data FROM memories WHERE task_id = :id")
    async with runtime.engine.connect() as connection:
        memory = (await connection.execute(statement, {"id": task_id})).one()
    assert memory.known_at is not None
    assert memory.data == {"action": "approve", "outcome": "good", "right": True}
