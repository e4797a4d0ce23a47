"""A worker is killed in the middle of a batch: another one ends it, and nothing happens twice."""

import os
import signal
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
from tests.faults.invariants import broken

ROWS = 60
PATIENCE = 60.0
_SETTLED = "status NOT IN ('submitted', 'running') AND lease_owner IS NULL AND NOT due"


@contextmanager
def _worker(dsn: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    env = {
        **os.environ,
        "DATABASE_URL": dsn,
        # Nothing listens there: the direct lane needs no Prefect server.
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "PREFECT_HOME": str(folder / "prefect"),
        "PARLEY_STATE": str(folder),
        "PARLEY_LEASE_SECONDS": "4",
        "PARLEY_WORKER_CONCURRENCY": "4",
        "PARLEY_RECOVER_SECONDS": "1",
    }
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "control_plane.cli.main", "worker"]
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _count(dsn: str, condition: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(f"SELECT count(*) FROM tasks WHERE {condition}").fetchone()
    assert row is not None
    return int(row[0])


def _wait(dsn: str, condition: str, least: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while _count(dsn, condition) < least:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, f"{_count(dsn, condition)} of {least}: {condition}\n{log.read_text()[-3000:]}"
        time.sleep(0.02)


async def _submit(dsn: str, folder: Path) -> None:
    kind = catalog_of(Settings(home=folder, database_url=dsn)).task_type("credit_review")
    cases = read_cases(kind, ROOT / "pilots/credit_review/data/applications.csv", limit=ROWS)
    engine = async_engine(dsn, size=1)
    await submit_cases(engine, kind, cases, source="test", principal="ann", lane=Lane.DIRECT)
    await engine.dispose()


async def test_a_batch_outlives_its_worker(dsn: str, tmp_path: Path) -> None:
    await _submit(dsn, tmp_path)
    first, second = tmp_path / "first", tmp_path / "second"
    with _worker(dsn, first) as process:
        _wait(dsn, _SETTLED, 8, process, first / "worker.log")
        process.send_signal(signal.SIGKILL)
        process.wait()
    held = _count(dsn, "status = 'running' AND lease_owner IS NOT NULL")
    assert held > 0, "the worker was not killed in the middle of anything"
    assert _count(dsn, _SETTLED) < ROWS
    with _worker(dsn, second) as process:
        _wait(dsn, _SETTLED, ROWS, process, second / "worker.log")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    assert _count(dsn, "true") == ROWS
    assert _count(dsn, "status IN ('done', 'parked')") == ROWS
    assert _count(dsn, "fence > 1 AND status = 'done'") > 0
    _assert_once(dsn)
    assert broken(dsn) == {}


def _assert_once(dsn: str) -> None:
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
