"""Shared by the tests of faults: worker processes, cases for them, and waiting for what they come to."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from catalog.cases import read_cases
from domain.settings import ROOT, Settings
from domain.task import Lane
from orchestration.submission import submit_cases
from orchestration.wiring import catalog_of
from storage.engine import async_engine
from tests.fakes.server import OUTBOUND_HOSTS

FULL = os.environ.get("PARLEY_FAULTS") == "full"
"""Whether the long ones are asked for."""
PATIENCE = 180.0
SETTLED = "status NOT IN ('submitted', 'running') AND lease_owner IS NULL AND NOT due"


def environment(dsn: str, folder: Path, **more: str) -> dict[str, str]:
    """Of a command that works on this database and keeps its state in the folder."""
    return {
        **os.environ,
        "DATABASE_URL": dsn,
        # Nothing listens there: the direct lane needs no Prefect server.
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "PREFECT_HOME": str(folder / "prefect"),
        "PARLEY_STATE": str(folder),
        "PARLEY_LEASE_SECONDS": "4",
        "PARLEY_WORKER_CONCURRENCY": "4",
        "PARLEY_RECOVER_SECONDS": "1",
        "PARLEY_OUTBOUND_HOSTS": OUTBOUND_HOSTS,
        **more,
    }


@contextmanager
def worker(dsn: str, folder: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process of its own; it is killed in the end, where it still runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "control_plane.cli.main", "worker"]
        process = subprocess.Popen(command, env=environment(dsn, folder, **more), cwd=ROOT, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def parley(dsn: str, folder: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run one command as a process of its own."""
    command = [sys.executable, "-m", "control_plane.cli.main", *arguments]
    return subprocess.run(
        command, env=environment(dsn, folder), cwd=ROOT, input=given, capture_output=True, check=False, timeout=120
    )


def count(dsn: str, condition: str, table: str = "tasks") -> int:
    """How many rows are so."""
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()
    assert row is not None
    return int(row[0])


def wait(dsn: str, condition: str, least: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until so many tasks are so; fails where the worker ends or takes too long."""
    until = time.monotonic() + PATIENCE
    while count(dsn, condition) < least:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, f"{count(dsn, condition)} of {least}: {condition}\n{log.read_text()[-3000:]}"
        time.sleep(0.02)


def wait_ready(dsn: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until this worker has signed on."""
    until = time.monotonic() + PATIENCE
    while count(dsn, f"pid = {process.pid} AND stopped_at IS NULL", "workers") == 0:
        log = (folder / "worker.log").read_text()
        assert process.poll() is None, log
        assert time.monotonic() < until, log[-3000:]
        time.sleep(0.1)


async def submit_rows(dsn: str, folder: Path, rows: int) -> None:
    """A batch of the sample pilot's first cases, on the direct lane."""
    kind = catalog_of(Settings(home=folder, database_url=dsn)).task_type("credit_review")
    cases = read_cases(kind, ROOT / "pilots/credit_review/data/applications.csv", limit=rows)
    engine = async_engine(dsn, size=1)
    await submit_cases(engine, kind, cases, source="test", principal="ann", lane=Lane.DIRECT)
    await engine.dispose()


def assert_once(dsn: str) -> None:
    """One decision for each task; one effect for each that is done and none for one that is parked."""
    nothing_wrong = {
        "decisions": "SELECT t.id FROM tasks t LEFT JOIN decisions d ON d.task_id = t.id "
        "GROUP BY t.id HAVING count(d.task_id) <> 1",
        "records": "SELECT t.id FROM tasks t LEFT JOIN records r ON r.task_id = t.id "
        "GROUP BY t.id, t.status HAVING count(r.task_id) <> CASE t.status WHEN 'done' THEN 1 ELSE 0 END",
        "actions": "SELECT t.id FROM tasks t LEFT JOIN actions a ON a.task_id = t.id AND a.status = 'done' "
        "GROUP BY t.id, t.status HAVING count(a.task_id) <> CASE t.status WHEN 'done' THEN 1 ELSE 0 END",
        "unfinished actions": "SELECT task_id FROM actions WHERE status <> 'done'",
        "memories": "SELECT t.id FROM tasks t LEFT JOIN memories m ON m.task_id = t.id "
        "GROUP BY t.id, t.status HAVING count(m.id) <> CASE t.status WHEN 'done' THEN 1 ELSE 0 END",
        "open approvals": "SELECT t.id FROM tasks t LEFT JOIN approvals a ON a.task_id = t.id AND a.status = 'open' "
        "GROUP BY t.id, t.status HAVING count(a.id) <> CASE t.status WHEN 'parked' THEN 1 ELSE 0 END",
    }
    with psycopg.connect(dsn) as connection:
        wrong = {name: connection.execute(sql).fetchall() for name, sql in nothing_wrong.items()}
    assert {name: rows for name, rows in wrong.items() if rows} == {}
