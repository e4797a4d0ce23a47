"""Five subtasks with dependencies and conditions: one waits for a person while the others end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from control_plane.services import inbox
from domain.settings import Settings
from domain.task import Lane, TaskStatus
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from storage.leases import claim_one
from tests.integration.five_subtasks import CLAIM, write_claims


@asynccontextmanager
async def _open(settings: Settings, catalog: Path) -> AsyncIterator[Runtime]:
    async with open_runtime(settings.model_copy(update={"catalog": catalog})) as runtime:
        yield runtime


async def _submit(runtime: Runtime, **changes: Any) -> str:
    kind = runtime.catalog.task_type("claim")
    submitted = await submit_task(runtime.engine, kind, {**CLAIM, **changes}, principal="ann", lane=Lane.DIRECT)
    return submitted.task_id


async def _run(runtime: Runtime, task_id: str) -> TaskStatus:
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    return await run_task(runtime, claim.lease, DIRECT, runtime.graphs())


async def _rows(runtime: Runtime, sql: str, task_id: str) -> list[Any]:
    async with runtime.engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(sql), {"id": task_id})]


async def _subtasks(runtime: Runtime, task_id: str) -> dict[str, tuple[str, str | None]]:
    rows = await _rows(runtime, "SELECT subtask_id, status, action FROM subtasks WHERE task_id = :id", task_id)
    return {name: (status, action) for name, status, action in rows}


async def _approve(runtime: Runtime, task_id: str, action: str | None) -> None:
    await inbox.approve(runtime.engine, task_id, principal="bob", reason="looked at it", action=action, digest=None)


async def test_the_others_end_while_one_waits_and_its_dependents_follow(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_claims(tmp_path)) as runtime:
        task_id = await _submit(runtime)
        assert await _run(runtime, task_id) is TaskStatus.PARKED
        assert await _subtasks(runtime, task_id) == {
            "coverage": ("done", "covered"),
            "fraud": ("parked", None),
            "urgency": ("done", "normal"),
            "payout": ("pending", None),
            "letter": ("skipped", None),
        }
        assert await claim_one(runtime.engine, "test", task_id, seconds=30) is None
        await _approve(runtime, task_id, "clear")
        assert await _run(runtime, task_id) is TaskStatus.DONE
        ended = await _subtasks(runtime, task_id)
        assert ended["fraud"] == ("done", "clear")
        assert ended["payout"] == ("done", "pay")
        records = await _rows(runtime, "SELECT action, arguments FROM records WHERE task_id = :id ORDER BY 1", task_id)
        assert records == [("clear", {}), ("covered", {}), ("normal", {}), ("pay", {"share": 0.5})]


async def test_a_counter_proposal_is_voted_on_in_a_round_of_its_own(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_claims(tmp_path)) as runtime:
        task_id = await _submit(runtime, reports=0)
        assert await _run(runtime, task_id) is TaskStatus.DONE
        rows = await _rows(
            runtime,
            "SELECT round, persona, option FROM proposals WHERE task_id = :id AND subtask_id = 'payout' ORDER BY 1, 2",
            task_id,
        )
        assert rows == [(0, "pay_a", "pay"), (0, "pay_b", "pay"), (1, "pay_a", "pay_half"), (1, "pay_b", "pay_half")]


async def test_the_safe_default_is_taken_on_a_stalemate_and_said_so(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_claims(tmp_path)) as runtime:
        task_id = await _submit(runtime)
        await _run(runtime, task_id)
        sql = "SELECT kind, option, body->'explanation' FROM decisions WHERE task_id = :id AND subtask_id = 'urgency'"
        [(kind, option, explanation)] = await _rows(runtime, sql, task_id)
        assert (kind, option) == ("stalemate", "normal")
        assert "safe default" in str(explanation)
        assert await _rows(runtime, "SELECT subtask_id FROM approvals WHERE task_id = :id", task_id) == [("fraud",)]


async def test_a_refusal_skips_the_dependents_and_denies_the_task(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_claims(tmp_path)) as runtime:
        task_id = await _submit(runtime)
        await _run(runtime, task_id)
        await inbox.refuse(runtime.engine, task_id, principal="bob", reason="too odd", digest=None)
        assert await _run(runtime, task_id) is TaskStatus.DENIED
        ended = await _subtasks(runtime, task_id)
        assert ended["fraud"] == ("denied", None)
        assert ended["payout"] == ("skipped", None)
        assert ended["coverage"] == ("done", "covered")


async def test_a_condition_that_does_not_hold_takes_the_other_branch(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_claims(tmp_path)) as runtime:
        task_id = await _submit(runtime, active="no", reports=0)
        assert await _run(runtime, task_id) is TaskStatus.DONE
        ended = await _subtasks(runtime, task_id)
        assert ended["payout"] == ("skipped", None)
        assert ended["letter"] == ("done", "hold")


@pytest.mark.parametrize("condition", [" && !context.approved", ""], ids=["once", "for ever"])
async def test_policy_asks_a_person_before_a_dependent_acts(settings: Settings, tmp_path: Path, condition: str) -> None:
    async with _open(settings, write_claims(tmp_path, review=condition)) as runtime:
        task_id = await _submit(runtime, reports=0)
        assert await _run(runtime, task_id) is TaskStatus.PARKED
        assert (await _subtasks(runtime, task_id))["payout"] == ("parked", None)
        await _approve(runtime, task_id, None)
        # A policy that asks without end must not be answered without end.
        expected = TaskStatus.DONE if condition else TaskStatus.DENIED
        assert await _run(runtime, task_id) is expected


async def test_an_answer_does_not_stand_for_policies_that_changed_since(settings: Settings, tmp_path: Path) -> None:
    catalog = write_claims(tmp_path, review=" && !context.approved")
    async with _open(settings, catalog) as runtime:
        task_id = await _submit(runtime, reports=0)
        assert await _run(runtime, task_id) is TaskStatus.PARKED
        await _approve(runtime, task_id, None)
    policies = catalog / "claim" / "policies.cedar"
    policies.write_text(policies.read_text().replace("Within policy", "Within the new policy"))
    async with _open(settings, catalog) as runtime:
        assert await _run(runtime, task_id) is TaskStatus.PARKED
        # The old answer must not make the task due for ever.
        assert await claim_one(runtime.engine, "test", task_id, seconds=30) is None
        statuses = await _rows(runtime, "SELECT status FROM approvals WHERE task_id = :id ORDER BY created_at", task_id)
        assert statuses == [("approved",), ("open",)]
        await _approve(runtime, task_id, None)
        assert await _run(runtime, task_id) is TaskStatus.DONE


@pytest.mark.parametrize("parked", [False, True], ids=["before it began", "while it waits"])
async def test_a_cancelled_task_ends_as_cancelled(settings: Settings, tmp_path: Path, parked: bool) -> None:
    async with _open(settings, write_claims(tmp_path)) as runtime:
        task_id = await _submit(runtime)
        if parked:
            assert await _run(runtime, task_id) is TaskStatus.PARKED
        async with runtime.engine.begin() as connection:
            sql = "UPDATE tasks SET cancel_requested = true, due = true WHERE id = :id"
            await connection.execute(text(sql), {"id": task_id})
        assert await _run(runtime, task_id) is TaskStatus.CANCELLED
        waiting = [row["task_id"] for row in await inbox.open_approvals(runtime.engine)]
        assert task_id not in waiting
        started = {name for name, (status, _) in (await _subtasks(runtime, task_id)).items() if status == "done"}
        assert started == ({"coverage", "urgency"} if parked else set())


async def test_a_task_past_its_deadline_expires_where_it_stands(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_claims(tmp_path)) as runtime:
        task_id = await _submit(runtime)
        async with runtime.engine.begin() as connection:
            sql = "UPDATE tasks SET deadline_at = now() - interval '1 second' WHERE id = :id"
            await connection.execute(text(sql), {"id": task_id})
        assert await _run(runtime, task_id) is TaskStatus.EXPIRED
        assert {status for status, _ in (await _subtasks(runtime, task_id)).values()} == {"skipped"}
        assert await _rows(runtime, "SELECT 1 FROM records WHERE task_id = :id", task_id) == []
