"""Who may answer: roles in the database, enforced, and a chain that tells who was given which."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from control_plane.cli.main import main
from control_plane.services import audit, roles
from deployments.postgres import PostgresServer
from domain.asking import UNASSIGNED
from domain.audit import ROLES_CHAIN
from domain.errors import AnswerRefused, InputError, RoleRefused
from domain.settings import Settings
from domain.task import TaskStatus
from tests.conftest import fresh_database
from tests.integration.acting import acting
from tests.integration.approving import event, holds, open_one, parked, say, write_asked
from tests.integration.commands import run_json

KNOWN = frozenset({"looker", "admin", "approver"})


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    """A database for each test: a role that is held is held for every task in it."""
    return fresh_database(postgres)


async def test_a_role_that_nobody_holds_is_said_to_be_so(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        assert (await event(stage, task_id, "approve.asked"))["note"] == UNASSIGNED
        assert (await open_one(stage, task_id))["asked"]["note"] == UNASSIGNED
        await say(stage, task_id, "anybody")
        assert (await event(stage, task_id, "approve.answered"))["note"] == UNASSIGNED
        sql = "SELECT role, grant_id FROM approval_answers WHERE task_id = :id"
        assert await stage.rows(sql, task_id) == [("approver", None)]


async def test_once_it_is_held_only_who_holds_it_answers(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        await holds(stage, ("carol", "approver"), ("bob", "auditor"), ("ann", "approver"))
        for who in ("bob", "nobody"):
            for word in ("approve", "refuse"):
                with pytest.raises(AnswerRefused, match=f"{who} does not hold the role approver: ann, carol can"):
                    await say(stage, task_id, who, word)
        with pytest.raises(AnswerRefused, match="ann submitted the task"):
            await say(stage, task_id, "ann")
        assert (await open_one(stage, task_id))["asked"]["held_by"] == ["ann", "carol"]
        await say(stage, task_id, "carol")
        assert "note" not in await event(stage, task_id, "approve.answered")
        sql = (
            "SELECT g.principal, g.role, g.granted_by FROM approval_answers a JOIN role_grants g ON g.id = a.grant_id "
            "WHERE a.task_id = :id"
        )
        assert await stage.rows(sql, task_id) == [("carol", "approver", "root")]
        assert await stage.run(task_id) is TaskStatus.DONE


async def test_a_strict_task_type_waits_for_the_role(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, {"strict": True})) as stage:
        task_id = await parked(stage)
        with pytest.raises(AnswerRefused, match="nobody holds the role approver, and here it has to be held"):
            await say(stage, task_id, "bob")
        await holds(stage, ("bob", "approver"))
        await say(stage, task_id, "bob")
        assert await stage.run(task_id) is TaskStatus.DONE


async def test_what_was_answered_before_a_revocation_stands(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, {"quorum": 2})) as stage:
        engine = stage.runtime.engine
        task_id = await parked(stage)
        await holds(stage, ("bob", "approver"), ("carol", "approver"), ("eve", "approver"))
        await say(stage, task_id, "bob")
        for who in ("bob", "eve"):
            assert (await roles.revoke(engine, who, "approver", by="root", reason="left")).changed
        with pytest.raises(AnswerRefused, match="eve does not hold the role"):
            await say(stage, task_id, "eve")
        await say(stage, task_id, "carol")
        assert await stage.run(task_id) is TaskStatus.DONE
        assert (await audit.verify(engine, tmp_path, None, None)).problems == []


async def test_who_may_change_roles(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        engine = stage.runtime.engine
        given: dict[str, Any] = {"by": "root", "reason": "begins"}
        first = await roles.grant(engine, KNOWN, "bob", "looker", **given)
        assert (first.changed, first.note is not None) == (True, True)
        assert not (await roles.grant(engine, KNOWN, "bob", "looker", **given)).changed
        await roles.grant(engine, KNOWN, "ada", "admin", **given)
        for change in (
            roles.grant(engine, KNOWN, "eve", "looker", by="eve", reason="mine"),
            roles.revoke(engine, "bob", "looker", by="eve", reason="mine"),
        ):
            with pytest.raises(RoleRefused, match="eve is no admin: ada can"):
                await change
        with pytest.raises(RoleRefused, match="the only admin"):
            await roles.revoke(engine, "ada", "admin", by="ada", reason="bye")
        assert (await roles.grant(engine, KNOWN, "eve", "admin", by="ada", reason="two")).note is None
        assert (await roles.revoke(engine, "ada", "admin", by="eve", reason="bye")).changed
        with pytest.raises(InputError, match="no such role: one of admin, approver, looker"):
            await roles.grant(engine, KNOWN, "bob", "king", by="eve", reason="r")
        for name, reason in (("", "r"), ("a\nb", "r"), ("bob", " ")):
            with pytest.raises(InputError):
                await roles.grant(engine, KNOWN, name, "looker", by="eve", reason=reason)


async def test_fifty_grants_at_once_are_one(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        engine = stage.runtime.engine
        many = (roles.grant(engine, KNOWN, "bob", "looker", by=f"p{n}", reason="r") for n in range(50))
        assert sum(one.changed for one in await asyncio.gather(*many)) == 1
        assert (await audit.verify(engine, tmp_path, None, None)).problems == []


async def test_the_chain_of_roles_finds_what_was_changed(settings: Settings, tmp_path: Path, dsn: str) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        engine = stage.runtime.engine
        await holds(stage, ("bob", "approver"), ("eve", "operator"))
        await roles.revoke(engine, "eve", "operator", by="root", reason="left")
        with psycopg.connect(dsn, autocommit=True) as owner:
            told = owner.execute("SELECT event, actor FROM audit_log WHERE task_id = %s ORDER BY seq", [ROLES_CHAIN])
            assert told.fetchall() == [("role.granted", "root"), ("role.granted", "root"), ("role.revoked", "root")]
            for change in ("principal = 'mallory'", "reason = 'other'", "granted_by = 'ada'"):
                with pytest.raises(psycopg.errors.RaiseException, match="stays as it was made"):
                    owner.execute(f"UPDATE role_grants SET {change} WHERE principal = 'bob'")
            with pytest.raises(psycopg.errors.RaiseException, match="stays as it was made"):
                owner.execute("DELETE FROM role_grants WHERE principal = 'bob'")
            owner.execute("ALTER TABLE role_grants DISABLE TRIGGER ALL")
            owner.execute("CREATE TEMP TABLE kept AS SELECT * FROM role_grants")
            changes = {
                "UPDATE role_grants SET principal = 'mallory' WHERE principal = 'bob'": "edited",
                "DELETE FROM role_grants WHERE principal = 'bob'": "missing",
                "UPDATE role_grants SET revoked_at = NULL, revoked_by = NULL, revoke_reason = NULL": "missing",
                "INSERT INTO role_grants (principal, role, granted_by, reason) VALUES ('m', 'r', 'x', 'y')": "outside",
            }
            for statement, kind in changes.items():
                owner.execute(statement)
                assert {one.kind for one in (await audit.verify(engine, tmp_path, None, None)).problems} == {kind}
                owner.execute("DELETE FROM role_grants")
                owner.execute("INSERT INTO role_grants SELECT * FROM kept")
            assert (await audit.verify(engine, tmp_path, None, None)).problems == []
            owner.execute("ALTER TABLE audit_log DISABLE TRIGGER ALL")
            owner.execute("ALTER TABLE audit_heads DISABLE TRIGGER ALL")
            for table in ("audit_log", "audit_heads"):
                owner.execute(f"DELETE FROM {table} WHERE task_id = %s", [ROLES_CHAIN])
            assert {one.kind for one in (await audit.verify(engine, tmp_path, None, None)).problems} == {"outside"}


async def test_the_database_keeps_answers_to_their_rules(settings: Settings, tmp_path: Path, dsn: str) -> None:
    async with acting(settings, write_asked(tmp_path, {"quorum": 2})) as stage:
        task_id = await parked(stage)
        await holds(stage, ("carol", "approver"))
        await say(stage, task_id, "carol")
        [(approval_id, grant_id)] = await stage.rows(
            "SELECT approval_id, grant_id FROM approval_answers WHERE task_id = :id", task_id
        )
    usual = {"principal": "bob", "submitter": "ann", "role": "approver", "grant_id": None, "answer": "approved"}
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"principal": "ann"}, psycopg.errors.CheckViolation, "answer_four_eyes"),
        ({"principal": "ann", "submitter": "eve"}, psycopg.errors.ForeignKeyViolation, "approval_id_submitter"),
        ({"grant_id": grant_id}, psycopg.errors.ForeignKeyViolation, "grant_id_principal_role"),
        ({"principal": "carol", "role": "operator", "grant_id": grant_id}, psycopg.errors.UniqueViolation, "pk_"),
        ({"answer": "overridden"}, psycopg.errors.CheckViolation, "override_held"),
        ({"answer": "perhaps"}, psycopg.errors.CheckViolation, "answer_known"),
    ]
    with psycopg.connect(dsn, autocommit=True) as owner:
        for given, problem, name in cases:
            row = {"approval_id": approval_id, "task_id": task_id, "choice": "c", "reason": "r", **usual, **given}
            names, places = ", ".join(row), ", ".join(f"%({one})s" for one in row)
            with pytest.raises(problem, match=name):
                owner.execute(f"INSERT INTO approval_answers ({names}, at) VALUES ({places}, now())", row)
        for change in ("answer = 'refused'", "principal = 'bob'", "arguments = '{}'"):
            with pytest.raises(psycopg.errors.RaiseException, match="stays as it was given"):
                owner.execute(f"UPDATE approval_answers SET {change}")
        with pytest.raises(psycopg.errors.RaiseException, match="stays as it was given"):
            owner.execute("DELETE FROM approval_answers")


def test_the_commands(
    dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PARLEY_STATE", str(tmp_path / "state"))
    assert main(["role", "list"]) == 0
    assert "no role is assigned" in capsys.readouterr().out
    made = run_json(capsys, "role", "grant", "bob", "approver", "--reason", "joined", "--as", "root")
    assert (made["changed"], made["by"]) == (True, "root")
    assert main(["role", "grant", "bob", "approver", "--reason", "again", "--as", "root"]) == 0
    assert "bob holds approver already" in capsys.readouterr().out
    [row] = run_json(capsys, "role", "list")["roles"]
    assert (row["principal"], row["role"], row["granted_by"], row["reason"]) == ("bob", "approver", "root", "joined")
    assert run_json(capsys, "role", "grant", "bob", "king", "--reason", "r", code=2)["error"]["kind"] == "InputError"
    assert run_json(capsys, "role", "revoke", "bob", "approver", "--reason", "left")["changed"]
    assert run_json(capsys, "role", "list")["roles"] == []
    assert [one["revoke_reason"] for one in run_json(capsys, "role", "list", "--all")["roles"]] == ["left"]
