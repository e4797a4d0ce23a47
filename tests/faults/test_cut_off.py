"""A cancelled task whose call does not end: cut off past its grace, and its worker ended where that does not help."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import flows.orchestrate_task as traced
from control_plane.services.control import control
from domain.action import ActionRequest
from domain.settings import ROOT, Settings
from domain.task import Lane, TaskStatus
from orchestration.last_resort import EXIT_CODE
from orchestration.run import Runtime
from orchestration.wiring import open_runtime
from orchestration.worker import Worker
from storage.repositories.control import Control
from tasks.executors.record_decision import RecordDecision
from tests.faults.blocking import CALLED, direct
from tests.faults.control_tasks import ALONE, run, submit
from tests.faults.workers import environment
from tests.integration.acting import Acting, write_steps

GRACE = 0.5
CUT = "SELECT count(*) FROM events WHERE task_id = :id AND event = 'run.cut_off'"
STANDS = "SELECT t.status, a.status FROM tasks t JOIN actions a ON a.task_id = t.id WHERE t.id = :id"


class Hanging(RecordDecision):
    """Its target takes the request and never answers; what it undoes takes longer than any grace."""

    def __init__(self, engine: Any, calls: list[str], hangs: str = "") -> None:
        super().__init__(engine)
        self.calls, self.hangs = calls, hangs

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        self.calls.append(request.subtask_id)
        if request.subtask_id.endswith(self.hangs) and not request.subtask_id.endswith(":compensate"):
            await asyncio.sleep(600)
        if request.subtask_id.endswith(":compensate"):
            await asyncio.sleep(4 * GRACE)
        return await super().execute(request)


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "state",
        database_url=dsn,
        worker_concurrency=4,
        lease_seconds=30,
        recover_seconds=0.5,
        cancel_grace_seconds=GRACE,
    )


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    async with open_runtime(settings) as made:
        yield made


async def _row(runtime: Runtime, sql: str, task_id: str) -> tuple[Any, ...]:
    async with runtime.engine.connect() as connection:
        return tuple((await connection.execute(text(sql), {"id": task_id})).one())


async def _cancel(runtime: Runtime, task_id: str) -> None:
    await control(runtime.engine, task_id, Control.CANCEL, principal="bob", reason="test")


async def _until(seconds: float, reached: Any) -> None:
    async with asyncio.timeout(seconds):
        while not await reached():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _working(runtime: Runtime, settings: Settings) -> AsyncIterator[None]:
    worker = Worker(runtime, settings, {Lane.DIRECT: direct, Lane.TRACED: traced.run_claim})
    working = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await working


@pytest.mark.usefixtures("prefect_api")
@pytest.mark.parametrize("lane", list(Lane))
async def test_a_call_in_flight_is_cut_off_past_its_grace(runtime: Runtime, settings: Settings, lane: Lane) -> None:
    calls: list[str] = []
    runtime = replace(runtime, executors=lambda engine: {"record_decision": Hanging(engine, calls)})
    async with _working(runtime, settings):
        task_id = await submit(runtime, ALONE, lane)
        await _until(60, lambda: _has(calls))
        await _cancel(runtime, task_id)
        await _until(60, lambda: _is_parked(runtime, task_id))
    # Nothing tells whether it happened, so a person is asked; nothing is called again.
    assert await _row(runtime, STANDS, task_id) == ("parked", "unknown")
    assert await _row(runtime, CUT, task_id) == (1,)
    assert len(calls) == 1


async def test_what_undoes_is_not_cut_off(settings: Settings, tmp_path: Path) -> None:
    steps = {"book": {"executor": "record_decision", "compensate": "cancel"}, "charge": {"executor": "record_decision"}}
    settings = settings.model_copy(update={"catalog": write_steps(tmp_path, steps)})
    calls: list[str] = []
    async with open_runtime(settings) as made:
        runtime = replace(made, executors=lambda engine: {"record_decision": Hanging(engine, calls, "charge")})
        stage = Acting(runtime)
        async with _working(runtime, settings):
            task_id = await stage.submit()
            await _until(20, lambda: _has(calls, "charge"))
            await _cancel(runtime, task_id)
            await _until(20, lambda: _is_parked(runtime, task_id))
            await stage.answer(task_id, "not_done")
            await _until(20, lambda: _has_ended(runtime, task_id))
        assert calls == ["book", "charge", "book:compensate"]
        assert await _row(runtime, CUT, task_id) == (1,)
        assert (await stage.actions(task_id))["book:compensate"] == ("done", 1)


async def test_a_worker_whose_loop_is_blocked_is_ended(runtime: Runtime, dsn: str, tmp_path: Path) -> None:
    log, home = tmp_path / "log", tmp_path / "worker"
    env = environment(dsn, home, PARLEY_CANCEL_GRACE_SECONDS="0.2", PARLEY_RECOVER_SECONDS="0.3")
    home.mkdir()
    with log.open("wb") as out:
        command = [sys.executable, "-m", "tests.faults.blocking"]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out)
    try:
        task_id = await submit(runtime, ALONE)
        await _until(60, lambda: _exists(home / CALLED))
        await _cancel(runtime, task_id)
        code = await asyncio.to_thread(process.wait, 30)
    finally:
        process.kill()
        process.wait()
    assert code == EXIT_CODE, log.read_text()
    assert "this worker ends" in log.read_text()
    held = "SELECT lease_owner, due, crashes FROM tasks WHERE id = :id"
    assert await _row(runtime, held, task_id) == (None, True, 0)
    told = "SELECT count(*) FROM events WHERE task_id = :id AND event = 'run.worker_ended'"
    assert await _row(runtime, told, task_id) == (1,)
    assert await _row(runtime, "SELECT count(*) FROM workers WHERE stopped_at IS NULL AND :id <> ''", task_id) == (0,)
    # The call was begun and `fenced`: its target tells that nothing happened, or a person does.
    assert await run(runtime, task_id) is TaskStatus.PARKED
    assert await _row(runtime, STANDS, task_id) == ("parked", "unknown")


@pytest.mark.usefixtures("prefect_api")
async def test_a_flow_run_of_its_own_cuts_off_too(
    runtime: Runtime, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    hanging = replace(runtime, executors=lambda engine: {"record_decision": Hanging(engine, calls)})

    @asynccontextmanager
    async def opened(_: Settings) -> AsyncIterator[Runtime]:
        yield hanging

    monkeypatch.setattr(traced, "open_runtime", opened)
    monkeypatch.setattr(traced, "Settings", lambda: settings)
    task_id = await submit(runtime, ALONE)
    running = asyncio.create_task(traced.orchestrate_task(task_id, return_state=True))
    await _until(60, lambda: _has(calls))
    await _cancel(runtime, task_id)
    async with asyncio.timeout(30):
        state = await running
    assert state.name == "CutOff"
    assert await run(hanging, task_id) is TaskStatus.PARKED
    assert len(calls) == 1


async def _has(calls: list[str], step: str = "") -> bool:
    return any(call.endswith(step) for call in calls)


async def _exists(file: Path) -> bool:
    return file.exists()


async def _is_parked(runtime: Runtime, task_id: str) -> bool:
    return await _row(runtime, "SELECT status FROM tasks WHERE id = :id", task_id) == ("parked",)


async def _has_ended(runtime: Runtime, task_id: str) -> bool:
    return await _row(runtime, "SELECT ended_at IS NOT NULL FROM tasks WHERE id = :id", task_id) == (True,)
