"""The audit is changed behind the platform's back, with the triggers off: `parley audit verify` ends with 1."""

import uuid
from pathlib import Path

import psycopg
import pytest

from deployments.postgres import PostgresServer, ensure_database
from storage.migrations.run import upgrade
from tests.faults.workers import SETTLED, parley, submit_rows, wait, worker
from tests.integration.test_audit_chain import unguarded

TAIL = "(SELECT max(seq) FROM audit_log l WHERE l.task_id = x.task_id)"
CHANGES = {
    "edited": ("UPDATE audit_log SET actor = 'eve' WHERE task_id = %(id)s AND seq = 3",),
    "cut in the middle": ("DELETE FROM audit_log WHERE task_id = %(id)s AND seq = 3",),
    # As somebody would who knows the chain: what is left fits.
    "cut at the tail": (
        "DELETE FROM events e USING audit_log x WHERE x.task_id = %(id)s AND (e.task_id, e.key) = (x.task_id, x.key) "
        f"AND x.seq = {TAIL}",
        f"DELETE FROM audit_log x WHERE task_id = %(id)s AND seq = {TAIL}",
        "UPDATE audit_heads h SET seq = x.seq, hash = x.hash FROM audit_log x WHERE x.task_id = %(id)s "
        f"AND h.task_id = x.task_id AND x.seq = {TAIL}",
    ),
}
UNHELD = ("test_a_change_is_found",)


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    """A database of each test's own."""
    name = f"audit_{uuid.uuid4().hex[:12]}"
    ensure_database(postgres.cluster.dsn("postgres"), name)
    upgrade(postgres.cluster.dsn(name))
    return postgres.cluster.dsn(name)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_found(dsn: str, tmp_path: Path, change: str) -> None:
    await submit_rows(dsn, tmp_path, 4)
    with worker(dsn, tmp_path) as process:
        wait(dsn, SETTLED, 4, process, tmp_path / "worker.log")
    assert parley(dsn, tmp_path, "audit", "anchor").returncode == 0
    assert parley(dsn, tmp_path, "audit", "verify").returncode == 0
    with psycopg.connect(dsn, autocommit=True) as connection, unguarded(connection):
        row = connection.execute("SELECT id FROM tasks WHERE status = 'done' ORDER BY created_at DESC").fetchone()
        assert row is not None
        for statement in CHANGES[change]:
            assert connection.execute(statement, {"id": row[0]}).rowcount > 0
    told = parley(dsn, tmp_path, "audit", "verify")
    assert told.returncode == 1, told.stdout.decode()
    assert row[0].encode() in told.stdout
