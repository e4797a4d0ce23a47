"""The disk under Postgres runs full while a worker writes: nothing half-written, and all goes on once there is room."""

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from deployments.pg_binaries import Account
from deployments.postgres import PostgresServer, plan_cluster, start_cluster
from domain.settings import Settings
from domain.task import Lane
from orchestration.submission import submit_task
from orchestration.wiring import catalog_of
from storage.engine import async_engine
from storage.migrations.run import upgrade
from tests.faults.control_tasks import ALONE
from tests.faults.test_postgres_killed import submit_all
from tests.faults.workers import FULL, PATIENCE, SETTLED, assert_once, count, wait, wait_ready, worker

SIZE = "176m"
TASKS = 24 if FULL else 8


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of the test's own; skipped where none may be mounted."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting needs root on Linux")
    # Postgres' account has to get there.
    folder = Path("/var/tmp") / f"parley-disk-{os.getpid()}"
    folder.mkdir(mode=0o755)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"mounting is not permitted: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def private(disk: Path, tmp_path: Path) -> Iterator[PostgresServer]:
    """A server whose data lie on that disk."""
    planned = plan_cluster(tmp_path / "server", None)
    data = disk / "postgres"
    data.mkdir(mode=0o700)
    assert planned.account is not None
    account = Account.named(planned.account)
    os.chown(data, account.uid, account.gid)
    cluster = start_cluster(planned.model_copy(update={"folder": data}), tmp_path / "logs")
    server = PostgresServer(cluster, tmp_path / "logs" / "postgres.log")
    upgrade(server.dsn)
    yield server
    server.stop()
    PostgresServer(planned, server.log).discard()


@pytest.fixture
def dsn(private: PostgresServer) -> str:
    return private.dsn


async def test_a_full_disk_fails_closed(private: PostgresServer, dsn: str, disk: Path, tmp_path: Path) -> None:
    acknowledged: dict[str, str] = {}
    folder = tmp_path / "worker"
    with worker(dsn, folder) as process:
        wait_ready(dsn, process, folder)
        submitting = asyncio.create_task(submit_all(dsn, tmp_path, acknowledged, TASKS))
        async with asyncio.timeout(PATIENCE):
            while len(acknowledged) < TASKS // 2:
                await asyncio.sleep(0.02)
        filler = disk / "filler"
        _fill(filler)
        refused = await _until_refused(dsn, tmp_path, filler, acknowledged)
        filler.unlink()
        # Postgres ends where it cannot write its log; it is started as a supervisor would.
        await asyncio.to_thread(start_cluster, private.cluster, tmp_path / "logs")
        await submitting
        await asyncio.to_thread(wait, dsn, SETTLED, count(dsn, "true"), process, folder / "worker.log")
    with psycopg.connect(dsn) as connection:
        rows: list[tuple[str, str]] = connection.execute("SELECT idempotency_key, id FROM tasks").fetchall()
    standing = dict(rows)
    assert {key: standing.get(key) for key in acknowledged} == acknowledged
    assert not any(key in standing for key in refused), "a refused submit was written"
    assert count(dsn, "status NOT IN ('done', 'parked')") == 0
    assert_once(dsn)


def _fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))


async def _until_refused(dsn: str, folder: Path, filler: Path, acknowledged: dict[str, str]) -> list[str]:
    """Submits until three in a row were refused; the keys of those that Postgres itself answered so."""
    kind = catalog_of(Settings(home=folder, database_url=dsn)).task_type("credit_review")
    engine = async_engine(dsn, size=1)
    refused: list[str] = []
    in_a_row = 0
    async with asyncio.timeout(PATIENCE):
        for number in itertools.count():
            _fill(filler)
            key = f"full{number}"
            try:
                made = await submit_task(engine, kind, ALONE, principal="ann", lane=Lane.DIRECT, idempotency_key=key)
            except DBAPIError as error:
                in_a_row += 1
                if not error.connection_invalidated:
                    refused.append(key)
            else:
                acknowledged[key], in_a_row = made.task_id, 0
            if in_a_row == 3:
                break
    await engine.dispose()
    return refused
