"""The application writes as `parley_writer`: it appends to the audit chain, and may do nothing else to it."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.services import audit
from deployments.postgres import PostgresServer
from domain.task import Lane, TaskStatus
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from storage.checkpoints import open_pool
from storage.engine import async_engine, sync_engine
from storage.leases import claim_one
from storage.migrations.run import upgrade
from storage.roles import TAKE_ROLE
from tests.integration.test_lanes import CLEAR

REFUSED = (
    "UPDATE audit_log SET actor = 'eve'",
    "UPDATE audit_heads SET seq = seq + 1",
    "DELETE FROM audit_log",
    "DELETE FROM audit_heads",
    "TRUNCATE audit_log",
    "TRUNCATE audit_heads",
    "INSERT INTO audit_log (task_id, seq, at, event, key, actor, fence, body_hash, previous, hash) "
    "VALUES ('x', 1, now(), 'e', 'k', 'eve', 1, '', '', '')",
    "INSERT INTO audit_heads (task_id, seq, hash) VALUES ('x', 1, '')",
    "ALTER TABLE audit_log DISABLE TRIGGER ALL",
    "DROP TABLE audit_log",
    "DROP FUNCTION parley_audit_append",
    "SET session_replication_role = replica",
    "ALTER TABLE tasks DISABLE TRIGGER ALL",
)


@pytest.mark.parametrize("statement", REFUSED)
async def test_the_chain_is_refused_by_permission(engine: AsyncEngine, statement: str) -> None:
    async with engine.connect() as connection:
        with pytest.raises(ProgrammingError) as refusal:
            await connection.execute(text(statement))
    assert isinstance(refusal.value.orig, psycopg.errors.InsufficientPrivilege)
    told = str(refusal.value.orig)
    assert "permission denied" in told or "must be owner" in told


async def test_every_connection_takes_the_role(dsn: str, engine: AsyncEngine) -> None:
    who = "SELECT current_user"
    for _ in range(2):
        # A rollback does not give it back.
        async with engine.connect() as connection:
            assert await connection.scalar(text(who)) == "parley_writer"
            await connection.rollback()
            assert await connection.scalar(text(who)) == "parley_writer"
    sync = sync_engine(dsn)
    with sync.connect() as held:
        assert held.scalar(text(who)) == "parley_writer"
    sync.dispose()
    pool = await open_pool(dsn, size=1)
    async with pool.connection() as raw:
        row = await (await raw.execute(who)).fetchone()
    await pool.close()
    assert row == {"current_user": "parley_writer"}


async def test_a_task_runs_as_the_role(runtime: Runtime, tmp_path: Path) -> None:
    kind = runtime.catalog.task_type("credit_review")
    task = await submit_task(runtime.engine, kind, CLEAR, principal="ann", lane=Lane.DIRECT)
    claim = await claim_one(runtime.engine, "test", task.task_id, seconds=60)
    assert claim is not None
    assert await run_task(runtime, claim.lease, DIRECT, runtime.graphs()) is TaskStatus.DONE
    found = await audit.verify(runtime.engine, tmp_path, task.task_id, None)
    assert found.problems == []
    assert found.entries > 5


async def test_it_has_rights_on_tables_that_come_later(dsn: str, engine: AsyncEngine) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS later (id BIGSERIAL PRIMARY KEY)")
    async with engine.begin() as held:
        await held.execute(text("INSERT INTO later DEFAULT VALUES"))
        await held.execute(text("DELETE FROM later"))


async def test_without_rights_here_the_login_stays(postgres: PostgresServer) -> None:
    """The role belongs to the server: a database whose migration could not make use of it goes on as before."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS without_rights")
        connection.execute("CREATE DATABASE without_rights")
    dsn = postgres.dsn.rsplit("/", 1)[0] + "/without_rights"
    with psycopg.connect(dsn) as connection:
        assert connection.execute(TAKE_ROLE).fetchone() is None
    upgrade(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        login = connection.execute("SELECT session_user").fetchone()
        connection.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM parley_writer")
    made = async_engine(dsn, size=1)
    async with made.connect() as held:
        assert (await held.scalar(text("SELECT current_user")),) == login
    await made.dispose()
