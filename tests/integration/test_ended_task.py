"""A task that has ended: a run of the same claim that is left over writes nothing and changes nothing."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.action import Ability, ActionRequest, ActionStatus, ExecutorKind
from domain.errors import LeaseLost, TaskEnded
from domain.settings import Settings
from domain.task import Lease, TaskStatus
from orchestration.direct import DIRECT
from orchestration.recovery import set_back
from orchestration.run import make_context, run_task
from storage.leases import claim_one, park, release
from storage.repositories import actions
from storage.unit_of_work import UnitOfWork
from tasks.compensate import compensate
from tasks.consolidate import consolidate
from tasks.execute import execute
from tasks.executors.record_decision import RecordDecision
from tasks.negotiate import negotiate
from tasks.report import report
from tests.integration.acting import Acting, acting, write_steps

REQUEST = {"idempotency_key": "k", "action": "covered", "arguments": {}}
STANDS = "SELECT status, answer, reason, lease_owner, lease_until, parked_at, due, fence FROM tasks WHERE id = :id"
LEFT = {
    table: f"SELECT to_jsonb(t) FROM {table} t WHERE t.task_id = :id ORDER BY to_jsonb(t)::text"
    for table in ("events", "subtasks", "actions", "approvals", "decisions", "verdicts", "audit_log")
}


class Holding:
    """An executor whose first call is held until it is let go."""

    name = "webhook"

    def __init__(self) -> None:
        self.calls = 0
        self.arrived, self.go = asyncio.Event(), asyncio.Event()

    def ability(self, parameters: Mapping[str, Any]) -> Ability:
        return Ability(kind=ExecutorKind.DEDUP, target="held")

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        self.calls += 1
        if self.calls == 1:
            self.arrived.set()
            await self.go.wait()
        return {"status": "200"}


async def _left(stage: Acting, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = {name: await stage.rows(sql, task_id) for name, sql in LEFT.items()}
    threads = "SELECT to_jsonb(c) FROM checkpoints c WHERE starts_with(thread_id, :id) ORDER BY to_jsonb(c)::text"
    return {**found, "task": await stage.rows(STANDS, task_id), "checkpoints": await stage.rows(threads, task_id)}


def _catalog(root: Path) -> Path:
    return write_steps(root, {"pay": {"executor_parameters": {"url": "http://localhost/pay"}, "compensate": "cancel"}})


async def _ended(stage: Acting) -> tuple[str, Lease]:
    """A task that has ended as done, and the claim that it ran under."""
    held = Holding()
    held.calls = 1
    runtime = stage.runtime = replace(stage.runtime, executors=lambda _: {"webhook": held})
    task_id = await stage.submit()
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    assert await run_task(runtime, claim.lease, DIRECT, runtime.graphs()) is TaskStatus.DONE
    return task_id, claim.lease


async def test_a_run_that_comes_back_from_its_call_finds_the_end(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        held = Holding()
        runtime = replace(stage.runtime, executors=lambda _: {"webhook": held})
        task_id = await stage.submit()
        claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
        assert claim is not None
        first = asyncio.create_task(run_task(runtime, claim.lease, DIRECT, runtime.graphs()))
        await held.arrived.wait()
        assert await run_task(runtime, claim.lease, DIRECT, runtime.graphs()) is TaskStatus.DONE
        before = await _left(stage, task_id)
        held.go.set()
        with pytest.raises(TaskEnded):
            await first
        assert await _left(stage, task_id) == before


async def test_no_stage_begins_behind_the_end(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        task_id, lease = await _ended(stage)
        before = await _left(stage, task_id)
        context = await make_context(stage.runtime, lease)
        for halted_too in (False, True):
            with pytest.raises(TaskEnded, match="ended as done"):
                async with UnitOfWork(stage.runtime.engine, lease, halted_too=halted_too):
                    pass
        with pytest.raises(TaskEnded):
            await context.check_going()
        for begun in (
            negotiate(context, "pay", 0),
            execute(context, "pay"),
            compensate(context, "expired"),
            consolidate(context),
        ):
            with pytest.raises(TaskEnded):
                await begun
        with pytest.raises(LeaseLost, match="checkpoint is refused"):
            await run_task(stage.runtime, lease, DIRECT, stage.runtime.graphs())
        assert await _left(stage, task_id) == before


async def test_a_report_that_is_made_again_says_how_it_ended(settings: Settings, tmp_path: Path) -> None:
    """Its commit may have gone unheard; or another run of the claim would have ended it otherwise."""
    async with acting(settings, _catalog(tmp_path)) as stage:
        task_id, lease = await _ended(stage)
        before = await _left(stage, task_id)
        assert await report(await make_context(stage.runtime, lease), None, "expired") == {"status": "done"}
        assert await _left(stage, task_id) == before


async def test_an_ended_task_is_not_given_back(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        task_id, lease = await _ended(stage)
        before = await _left(stage, task_id)
        await park(stage.runtime.engine, lease)
        await park(stage.runtime.engine, lease, paused=True)
        await release(stage.runtime.engine, lease, delay=5.0)
        await set_back(stage.runtime.engine, lease, ValueError("left over"))
        assert await _left(stage, task_id) == before


async def test_the_ledger_and_the_record_refuse_an_ended_task(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        task_id = await stage.submit()
        claim = await claim_one(stage.runtime.engine, "test", task_id, seconds=30)
        assert claim is not None
        engine, fence = stage.runtime.engine, claim.lease.fence
        request, other = (
            ActionRequest(task_id=task_id, subtask_id=step, fence=fence, **{**REQUEST, "idempotency_key": step})
            for step in ("pay", "other")
        )
        async with engine.begin() as connection:
            assert await actions.take_action(connection, request, "webhook", ExecutorKind.DEDUP, asking=False) == 1
        await stage.execute("UPDATE tasks SET status = 'expired', ended_at = now() WHERE id = :id", task_id)
        before = await _left(stage, task_id)
        async with engine.begin() as connection:
            for one in (request, other):
                assert await actions.take_action(connection, one, "webhook", ExecutorKind.DEDUP, asking=False) == 0
            assert not await actions.mark_sent(connection, request)
            assert not await actions.mark_unsent(connection, request, "e")
            assert not await actions.end_action(connection, request, ActionStatus.DONE, response="{}")
            assert await actions.close_action(connection, task_id, "pay", fence, "e") is None
        with pytest.raises(LeaseLost, match="ended"):
            await RecordDecision(engine).execute(request)
        assert await _left(stage, task_id) == before
        assert await stage.rows("SELECT task_id FROM records WHERE task_id = :id", task_id) == []
