"""Prefect's runs and the rows disagree: the row is the truth, and the task goes on."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Running
from sqlalchemy import text

from control_plane.services import audit
from domain.settings import ROOT, Settings
from domain.task import Lane, TaskStatus
from flows.disagreement import agree
from flows.orchestrate_task import orchestrate_task, run_claim
from orchestration.recovery import recover
from orchestration.run import Runtime
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from storage.leases import claim_one
from tests.faults.control_tasks import ALONE

LEASE = 4


@pytest.fixture
async def runtime(dsn: str, tmp_path: Path) -> Any:
    async with open_runtime(Settings(home=tmp_path / "state", database_url=dsn, lease_seconds=LEASE)) as made:
        yield made


async def _submit(runtime: Runtime, payload: dict[str, Any] = ALONE) -> str:
    kind = runtime.catalog.task_type("credit_review")
    return (await submit_task(runtime.engine, kind, payload, principal="ann", lane=Lane.TRACED)).task_id


async def _runs(task_id: str) -> list[FlowRun]:
    """Every run of the task and of its rounds, the oldest first."""
    async with get_client() as client:
        found = await client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(like_=task_id)))
    return sorted(found, key=lambda run: run.created or run.expected_start_time)


async def _made(task_id: str, fence: int, state: State[Any]) -> FlowRun:
    """A run of the flow in this state, of which nobody takes care."""
    async with get_client() as client:
        run = await client.create_flow_run(
            orchestrate_task, parameters={"task_id": task_id, "fence": fence}, name=task_id, state=state
        )
        return await client.read_flow_run(run.id)


async def _one(runtime: Runtime, sql: str, task_id: str) -> tuple[Any, ...]:
    async with runtime.engine.connect() as connection:
        return tuple((await connection.execute(text(sql), {"id": task_id})).one())


async def _events(runtime: Runtime, task_id: str) -> list[dict[str, Any]]:
    sql = "SELECT json_agg(data ORDER BY seq) FROM events WHERE task_id = :id AND event LIKE 'prefect.%'"
    return (await _one(runtime, sql, task_id))[0] or []


async def test_a_killed_runs_task_is_finished_and_its_run_does_not_stay_running(
    runtime: Runtime, prefect_api: str, tmp_path: Path
) -> None:
    task_id = await _submit(runtime)
    env = {
        **os.environ,
        "DATABASE_URL": runtime.dsn,
        "PREFECT_API_URL": prefect_api,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PARLEY_STATE": str(tmp_path / "killed"),
        "PARLEY_LEASE_SECONDS": str(LEASE),
        "PARLEY_FAULT": "execute:before_call",
    }
    command = [sys.executable, "-m", "control_plane.cli.main", "worker"]
    worker = await asyncio.to_thread(
        subprocess.run, command, env=env, cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert worker.returncode == -signal.SIGKILL, worker.stderr[-2000:]
    assert {run.state_name for run in await _runs(task_id)} >= {"Running"}
    await asyncio.sleep(LEASE + 0.5)

    assert (await agree(runtime.engine, grace=0)).settled == 1
    old = await _runs(task_id)
    assert not [run.name for run in old if run.state_name == "Running"]
    assert next(run for run in old if run.name == task_id).state_name == "Crashed"

    assert await recover(runtime.engine) == 1
    claim = await claim_one(runtime.engine, "other", task_id, seconds=60)
    assert claim is not None
    await run_claim(runtime, claim, runtime.graphs())
    status = "SELECT status, (SELECT count(*) FROM records WHERE task_id = :id) FROM tasks WHERE id = :id"
    assert await _one(runtime, status, task_id) == (TaskStatus.DONE.value, 1)
    ended = [run.state_name for run in await _runs(task_id) if run.name == task_id]
    assert ended == ["Crashed", "Completed"]
    assert (await agree(runtime.engine, grace=0)).settled == 0
    [event] = await _events(runtime, task_id)
    assert (event["was"], event["now"]) == ("Running", "Crashed")
    assert (await audit.verify(runtime.engine, tmp_path, task_id, None)).problems == []


@pytest.mark.usefixtures("prefect_api")
async def test_a_run_that_prefect_believes_in_is_settled_by_its_row(runtime: Runtime) -> None:
    ended, taken_over, going = [await _submit(runtime) for _ in range(3)]
    made = {}
    for task_id in (ended, taken_over, going):
        claim = await claim_one(runtime.engine, "test", task_id, seconds=60)
        assert claim is not None
        if task_id == ended:
            await run_claim(runtime, claim, runtime.graphs())
        made[task_id] = (await _made(task_id, 1, Running())).id
    async with runtime.engine.begin() as connection:
        await connection.execute(text("UPDATE tasks SET fence = 2 WHERE id = :id"), {"id": taken_over})
    assert (await agree(runtime.engine, grace=60)).settled == 0
    assert (await agree(runtime.engine, grace=0)).settled == 2
    async with get_client() as client:
        states = {task_id: (await client.read_flow_run(one)).state_name for task_id, one in made.items()}
    assert states == {ended: "Completed", taken_over: "Crashed", going: "Running"}


@pytest.mark.usefixtures("prefect_api")
async def test_a_task_whose_run_ended_without_it_is_given_to_another(runtime: Runtime) -> None:
    task_id = await _submit(runtime)
    assert await claim_one(runtime.engine, "gone", task_id, seconds=300) is not None
    await _made(task_id, 1, Cancelled())
    assert (await agree(runtime.engine, grace=60)).given_back == 0
    assert (await agree(runtime.engine, grace=0)).given_back == 1
    claim = await claim_one(runtime.engine, "other", task_id, seconds=60)
    assert claim is not None
    await run_claim(runtime, claim, runtime.graphs())
    assert (await _one(runtime, "SELECT status, fence FROM tasks WHERE id = :id", task_id)) == ("done", 2)
    assert [one["state"] for one in await _events(runtime, task_id)] == ["Cancelled"]
    assert (await agree(runtime.engine, grace=0)).given_back == 0


async def test_without_prefect_nothing_breaks(runtime: Runtime) -> None:
    task_id = await _submit(runtime)
    assert await claim_one(runtime.engine, "gone", task_id, seconds=300) is not None
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        found = await agree(runtime.engine)
    assert found.away is not None
    assert (found.settled, found.given_back) == (0, 0)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert (await agree(runtime.engine)).away == "no Prefect server is named"
