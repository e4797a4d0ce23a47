"""A conflict is explained with what memory held and what the answers cost; the record itself holds no telemetry."""

import json
from typing import Any

from sqlalchemy import text

from control_plane.services import inbox, listing, outcomes
from domain.task import Lane
from negotiation.explanation import as_markdown, recompute
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from storage.leases import claim_one

SPLIT: dict[str, Any] = {
    "Seniority": 3,
    "Home": "rent",
    "Time": 24,
    "Age": 44,
    "Marital": "married",
    "Records": "yes",
    "Job": "freelance",
    "Expenses": 60,
    "Income": 180,
    "Assets": 6000,
    "Debt": 0,
    "Amount": 1500,
    "Price": 1600,
}


async def _run(runtime: Runtime) -> str:
    kind = runtime.catalog.task_type("credit_review")
    task_id = (await submit_task(runtime.engine, kind, SPLIT, principal="ann", lane=Lane.DIRECT)).task_id
    await _go_on(runtime, task_id)
    return task_id


async def _go_on(runtime: Runtime, task_id: str) -> None:
    claim = await claim_one(runtime.engine, "test", task_id, seconds=60)
    assert claim is not None
    await run_task(runtime, claim.lease, DIRECT, runtime.graphs())


async def _resolve(runtime: Runtime, task_id: str) -> None:
    """Resolve the task, so that the next one may recall it."""
    kind = runtime.catalog.task_type("credit_review")
    await outcomes.record_one(runtime.engine, {kind.name: kind}, task_id, "good", "ann")


def _contested(decisions: Any) -> dict[str, Any]:
    """The first explanation with a conflict."""
    return next(one["explanation"] for one in decisions if one["explanation"]["conflict"] is not None)


async def test_a_conflict_is_explained(runtime: Runtime) -> None:
    first = await _run(runtime)
    # It is parked for a person; its episode is written when it ends.
    await inbox.approve(runtime.engine, first, principal="bob", reason="seen", action="decline", digest=None)
    await _go_on(runtime, first)
    await _resolve(runtime, first)
    second = await _run(runtime)
    explanation = _contested(await listing.explain_task(runtime.engine, second))
    sides = explanation["conflict"]["sides"]
    assert len(sides) > 1
    for side in sides:
        assert side["telemetry"]["latency_ms"] > 0
        assert all(one["telemetry"] is not None for one in side["personas"])
        assert side["evidence"]
        assert side["memory"]["by_action"] == [{"action": "decline", "cases": 1, "right": 0}]
        assert len(side["memory"]["facts"]) > 0
    assert "### Conflict" in as_markdown(explanation)
    assert recompute(json.loads(json.dumps(explanation))).model_dump(mode="json") == explanation["result"]


async def test_the_record_holds_no_telemetry_and_no_recalled_words(runtime: Runtime) -> None:
    task_id = await _run(runtime)
    async with runtime.engine.connect() as connection:
        here = {"id": task_id}
        bodies = (
            await connection.execute(text("SELECT body::text FROM decisions WHERE task_id = :id"), here)
        ).scalars()
        stored = "".join(bodies)
        recalled = (
            await connection.execute(text("SELECT contexts FROM snapshots WHERE task_id = :id"), here)
        ).scalars()
        facts = [fact for contexts in recalled for seen in contexts for fact in seen["facts"]]
    assert "latency_ms" not in stored
    assert facts
    assert all(fact["id"] in stored and fact["text"] not in stored for fact in facts)
