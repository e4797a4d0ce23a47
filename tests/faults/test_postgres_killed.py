"""Postgres dies while workers write and clients submit: what was acknowledged stands, and all of it ends once."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from deployments.postgres import PostgresServer, running_pid, start_cluster, start_postgres, stop_cluster
from deployments.processes import wait_until
from domain.settings import Settings
from domain.task import Lane
from flows.worker_process import serve
from orchestration.direct import DIRECT
from orchestration.graph import Graphs
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from orchestration.wiring import catalog_of, open_runtime
from orchestration.worker import Worker
from storage.engine import async_engine
from storage.leases import Claim
from storage.migrations.run import upgrade
from tests.faults.control_tasks import ALONE, PERSON, submit
from tests.faults.workers import FULL, PATIENCE, SETTLED, assert_once, count, wait, wait_ready, worker

TASKS = 60 if FULL else 16
KILLS = 4 if FULL else 1
COMMITTING = (
    "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query = 'COMMIT' "
    "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server of the test's own."""
    server = start_postgres(tmp_path / "server", None)
    upgrade(server.dsn)
    yield server
    server.discard()


@pytest.fixture
def dsn(private: PostgresServer) -> str:
    return private.dsn


async def test_the_postmaster_is_killed_again_and_again(private: PostgresServer, dsn: str, tmp_path: Path) -> None:
    acknowledged: dict[str, str] = {}
    folder = tmp_path / "worker"
    with worker(dsn, folder) as process:
        wait_ready(dsn, process, folder)
        submitting = asyncio.create_task(submit_all(dsn, tmp_path, acknowledged, TASKS))
        for number in range(KILLS):
            await _until(lambda number=number: len(acknowledged) >= TASKS * (number + 1) // (KILLS + 2))
            await asyncio.to_thread(_kill_and_start, private, tmp_path)
        await submitting
        await asyncio.to_thread(wait, dsn, SETTLED, TASKS, process, folder / "worker.log")
    _as_acknowledged(dsn, acknowledged)


async def test_a_backend_is_killed_inside_its_commit(private: PostgresServer, dsn: str, tmp_path: Path) -> None:
    """Each commit waits a tenth of a second before it is written to disk: that is where it is killed."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for setting in ("commit_delay = 100000", "commit_siblings = 0"):
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
    acknowledged: dict[str, str] = {}
    folder = tmp_path / "worker"
    with worker(dsn, folder) as process:
        wait_ready(dsn, process, folder)
        submitting = asyncio.create_task(submit_all(dsn, tmp_path, acknowledged, TASKS))
        for number in range(KILLS):
            await _until(lambda number=number: len(acknowledged) >= TASKS * (number + 1) // (KILLS + 2))
            await asyncio.to_thread(_kill_a_commit, dsn)
        await submitting
        await asyncio.to_thread(wait, dsn, SETTLED, TASKS, process, folder / "worker.log")
    _as_acknowledged(dsn, acknowledged)


async def test_a_worker_that_is_started_meanwhile_waits(private: PostgresServer, dsn: str, tmp_path: Path) -> None:
    stop_cluster(private.cluster)
    folder = tmp_path / "worker"
    with worker(dsn, folder) as process:
        log = folder / "worker.log"
        await _until(lambda: "waiting for Postgres, trying again" in log.read_text())
        await asyncio.sleep(2.5)
        assert process.poll() is None
        assert log.read_text().count("trying again") == 1, "it is tried every second, and not told every second"
        assert start_cluster(private.cluster, tmp_path / "logs").port == private.cluster.port
        await asyncio.to_thread(wait_ready, dsn, process, folder)
        assert "waiting for Postgres: over after" in log.read_text()
        await submit_all(dsn, tmp_path, {}, 2)
        await asyncio.to_thread(wait, dsn, SETTLED, 2, process, log)


@pytest.mark.parametrize("inherited", [signal.default_int_handler, signal.SIG_IGN])
async def test_ctrl_c_ends_the_waiting(private: PostgresServer, dsn: str, tmp_path: Path, inherited: Any) -> None:
    """Also of a worker that a script started in the background, with the signal ignored."""
    stop_cluster(private.cluster)
    folder = tmp_path / "worker"
    kept = signal.signal(signal.SIGINT, inherited)
    try:
        with worker(dsn, folder) as process:
            signal.signal(signal.SIGINT, kept)
            await _until(lambda: "waiting for Postgres" in (folder / "worker.log").read_text())
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, 60) == 130
    finally:
        signal.signal(signal.SIGINT, kept)
        start_cluster(private.cluster, tmp_path / "logs")
    told = (folder / "worker.log").read_text()
    assert "interrupted" in told
    assert "Traceback" not in told


async def test_a_worker_that_prefect_places_waits_too(
    private: PostgresServer, dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It finds Postgres gone behind the look of the command line, and is told to stop."""
    stop_cluster(private.cluster)
    async with asyncio.timeout(15):
        await serve(Settings(home=tmp_path / "state", database_url=dsn), seconds=2.5)
    assert [record.message for record in caplog.records if "Postgres is away, trying again" in record.message]
    start_cluster(private.cluster, tmp_path / "logs")


@pytest.mark.parametrize("lease", [4, 60])
async def test_a_run_that_an_outage_cut_short_is_no_crash(
    private: PostgresServer, dsn: str, tmp_path: Path, lease: int
) -> None:
    """Postgres goes away inside a run, for longer than a lease of 4 s: the task is given back once it is there."""
    settings = Settings(home=tmp_path / "state", database_url=dsn, lease_seconds=lease)
    runs = 0

    async def cut_short(runtime: Runtime, claim: Claim, graphs: Graphs) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            await asyncio.to_thread(stop_cluster, private.cluster)
            back.append(asyncio.create_task(asyncio.to_thread(_start_later, private, tmp_path)))
            raise psycopg.OperationalError("it went away")
        await run_task(runtime, claim.lease, DIRECT, graphs)
        worker_here.stop()

    back: list[asyncio.Task[None]] = []
    async with open_runtime(settings) as runtime:
        await submit(runtime, ALONE)
        worker_here = Worker(runtime, settings, {Lane.DIRECT: cut_short})
        async with asyncio.timeout(PATIENCE):
            await worker_here.run()
        await asyncio.gather(*back)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT status, crashes, fence FROM tasks").fetchall() == [("done", 0, 2)]


def _start_later(private: PostgresServer, folder: Path) -> None:
    time.sleep(6)
    assert start_cluster(private.cluster, folder / "logs").port == private.cluster.port


async def submit_all(dsn: str, folder: Path, acknowledged: dict[str, str], number: int) -> None:
    """A client that repeats every submit with its key until it is acknowledged."""
    kind = catalog_of(Settings(home=folder, database_url=dsn)).task_type("credit_review")
    engine = async_engine(dsn, size=2)
    for one in range(number):
        payload = PERSON if one % 4 == 0 else ALONE
        await _submit(engine, kind, {**payload, "Time": 12 + one % 24}, f"k{one}", acknowledged)
    await engine.dispose()


async def _submit(
    engine: AsyncEngine, kind: Any, payload: dict[str, object], key: str, acknowledged: dict[str, str]
) -> None:
    async with asyncio.timeout(PATIENCE):
        while key not in acknowledged:
            try:
                made = await submit_task(engine, kind, payload, principal="ann", lane=Lane.DIRECT, idempotency_key=key)
            except (DBAPIError, OSError):
                await asyncio.sleep(0.2)
            else:
                acknowledged[key] = made.task_id
    await asyncio.sleep(0.05)


async def _until(done: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not done():
            await asyncio.sleep(0.02)


def _kill_and_start(private: PostgresServer, folder: Path) -> None:
    pid = running_pid(private.cluster)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: running_pid(private.cluster) is None, 10)
    time.sleep(1)
    assert start_cluster(private.cluster, folder / "logs").port == private.cluster.port


def _kill_a_commit(dsn: str) -> None:
    """SIGKILL a backend that is committing; Postgres then throws out all sessions and recovers by itself."""
    until = time.monotonic() + PATIENCE
    with psycopg.connect(dsn, autocommit=True) as connection:
        while (row := connection.execute(COMMITTING).fetchone()) is None:
            assert time.monotonic() < until, "nothing commits"
    os.kill(row[0], signal.SIGKILL)

    def answers() -> bool:
        try:
            return count(dsn, "true") >= 0
        except psycopg.Error:
            return False

    time.sleep(0.5)
    assert wait_until(answers, 30)


def _as_acknowledged(dsn: str, acknowledged: dict[str, str]) -> None:
    with psycopg.connect(dsn) as connection:
        rows: list[tuple[str, str]] = connection.execute("SELECT idempotency_key, id FROM tasks").fetchall()
    assert dict(rows) == acknowledged
    assert len(rows) == TASKS
    assert count(dsn, "status NOT IN ('done', 'parked')") == 0
    assert_once(dsn)
