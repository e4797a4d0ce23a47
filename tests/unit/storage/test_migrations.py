"""The migrations make exactly the tables that the code declares."""

from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from deployments.postgres import start_postgres
from storage.engine import sync_engine
from storage.migrations.run import upgrade
from storage.schema import metadata

_NOT_OURS = ("checkpoint", "alembic_")


def _ours(thing, name, kind, reflected, compare_to):
    # LangGraph makes its own tables and looks after them.
    table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", None)
    return not str(table).startswith(_NOT_OURS)


def _differences(dsn):
    engine = sync_engine(dsn)
    try:
        with engine.connect() as connection:
            options = {"include_object": _ours, "compare_type": True, "compare_server_default": True}
            return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    finally:
        engine.dispose()


def test_the_database_is_what_the_tables_say(dsn):
    assert _differences(dsn) == []


def test_a_difference_would_be_seen(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE workers ADD COLUMN stray int")
        try:
            assert [change[0] for change in _differences(dsn)] == ["remove_column"]
        finally:
            connection.execute("ALTER TABLE workers DROP COLUMN stray")


def test_migrating_again_changes_nothing(dsn):
    upgrade(dsn)
    assert _differences(dsn) == []


@pytest.fixture
def action(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO tasks (id, task_type, type_version, payload, request_hash, principal, lane, status, seed, "
            "memory_as_of, deadline_at) VALUES ('t', 'k', 1, '{}', 'h', 'ann', 'direct', 'running', 0, now(), now()) "
            "ON CONFLICT DO NOTHING"
        )
        connection.execute(
            "INSERT INTO actions (task_id, subtask_id, idempotency_key, executor, request, status, fence) "
            "VALUES ('t', 's', 't/s', 'record_decision', '{}', 'sending', 2) ON CONFLICT DO NOTHING"
        )
        yield connection
        connection.execute("DELETE FROM actions WHERE task_id = 't'")


@pytest.mark.parametrize("change", ["fence = 1", "idempotency_key = 'other'", "request = '{\"a\": 1}'"])
def test_the_ledger_does_not_move_back(action, change):
    with pytest.raises(psycopg.errors.RaiseException, match="never move back"):
        action.execute(f"UPDATE actions SET {change} WHERE task_id = 't'")


@pytest.mark.parametrize("end", ["done", "failed", "refused", "unknown"])
def test_an_ended_action_stays_ended(action, end):
    action.execute("UPDATE actions SET status = %s WHERE task_id = 't'", (end,))
    with pytest.raises(psycopg.errors.RaiseException, match=f"has ended as {end}"):
        action.execute("UPDATE actions SET status = 'sending', fence = 3 WHERE task_id = 't'")


def test_an_ended_action_can_be_erased_and_no_more(action):
    action.execute("UPDATE actions SET status = 'done', response = '{\"a\": 1}' WHERE task_id = 't'")
    action.execute("UPDATE actions SET request = '{\"erased\": \"h\"}', response = NULL WHERE task_id = 't'")
    with pytest.raises(psycopg.errors.RaiseException, match="has ended as done"):
        action.execute("UPDATE actions SET response = '{\"a\": 2}' WHERE task_id = 't'")


def test_nobody_answers_for_a_task_of_their_own(action):
    with pytest.raises(psycopg.errors.CheckViolation, match="four_eyes"):
        action.execute(
            "INSERT INTO approvals (id, task_id, subtask_id, cause, shown, digest, role, submitter, status, "
            "expires_at, answered_by) VALUES ('a', 't', 's', 'c', '{}', 'd', 'r', 'ann', 'approved', now(), 'ann')"
        )


@pytest.mark.parametrize("may", ["CREATEROLE", "NOCREATEROLE"])
def test_a_login_that_is_no_superuser_replaces_what_the_chains_owner_has(tmp_path, may):
    server = start_postgres(tmp_path / "postgres", None)
    try:
        with psycopg.connect(server.cluster.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE plain LOGIN PASSWORD 'plain' {may}")
            connection.execute("CREATE DATABASE theirs OWNER plain")
        parts = urlsplit(server.cluster.dsn("theirs"))
        dsn = urlunsplit(parts._replace(netloc=f"plain:plain@{parts.hostname}:{parts.port}"))
        upgrade(dsn)
        asked = (
            "SELECT pg_get_userbyid(proowner), prosrc LIKE '%TIMESTAMPTZ := now();%', "
            "proowner <> 'plain'::regrole AND pg_has_role('plain', proowner, 'USAGE') "
            "FROM pg_proc WHERE proname = 'parley_audit_append'"
        )
        with psycopg.connect(dsn) as connection:
            owner = "parley_audit" if may == "CREATEROLE" else "plain"
            assert connection.execute(asked).fetchone() == (owner, True, False)
    finally:
        server.discard()
