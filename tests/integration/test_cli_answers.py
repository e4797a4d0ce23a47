"""The commands that answer: what they print, and what they refuse."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from control_plane.cli.main import main
from deployments.postgres import PostgresServer
from domain.settings import Settings
from domain.task import TaskStatus
from tests.conftest import fresh_database
from tests.integration.acting import acting
from tests.integration.approving import ASKS, holds, open_one, overridable, parked, write_asked

APPROVALS = {"quorum": 2, "of": 3, "chain": [{"role": "head", "after": "P1D"}]}


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    """A database for each test: a role that is held is held for every task in it."""
    return fresh_database(postgres)


@pytest.fixture
def run(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command beside the test's own event loop; returns its exit code, stdout and stderr."""
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PARLEY_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PARLEY_CATALOG", str(tmp_path / "pilots"))

    async def command(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


async def test_from_the_list_to_the_last_answer(settings: Settings, tmp_path: Path, run: Any) -> None:
    async with acting(settings, write_asked(tmp_path, APPROVALS)) as stage:
        task_id = await parked(stage)
        _, listed, _ = await run("approvals")
        assert "of: approver (role not assigned: anybody but ann); step 1 of 2, from " in listed
        assert "; 0 of 2 approvals, 0 refusals, 3 may answer" in listed
        await holds(stage, ("bob", "approver"), ("carol", "approver"), ("eve", "approver"))
        code, said, _ = await run("approve", task_id, "--set", "share=0.4", "--reason", "less", "--as", "bob")
        assert (code, said.split(":")[0]) == (0, "answered; 1 of 2 approvals so far, 0 refusals")
        _, listed, _ = await run("approvals")
        assert "of: approver (bob, carol, eve); step 1 of 2, from " in listed
        assert "  bob (approver): approved with share: 0.4\n" in listed
        edit = tmp_path / "edit.json"
        edit.write_text(json.dumps({"share": 0.4}))
        code, said, _ = await run("approve", task_id, "--edit", str(edit), "--reason", "less", "--as", "eve")
        assert (code, said) == (0, f"approved by eve; task {task_id} goes on\n")
        assert await stage.run(task_id) is TaskStatus.DONE
        assert await stage.rows("SELECT arguments FROM records WHERE task_id = :id", task_id) == [({"share": 0.4},)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "amount=1"), "amount of covered may not be changed: its counter_arguments are share, note"),
        (("--set", "share"), "--set share: give it as NAME=VALUE"),
        (("--edit", "nowhere.json"), "nowhere.json: cannot be read"),
        (("--as", "nobody"), "nobody does not hold the role approver: bob can answer"),
    ],
)
async def test_what_is_refused_says_why(
    settings: Settings, tmp_path: Path, run: Any, arguments: tuple[str, ...], said: str
) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        await holds(stage, ("bob", "approver"))
        task_id = await parked(stage)
        code, _, error = await run("approve", task_id, "--reason", "r", *(("--as", "bob", *arguments)))
        assert (code, said in error) == (2, True)
        assert (await open_one(stage, task_id))["asked"]["approved"] == 0


async def test_an_override_and_a_difference(settings: Settings, tmp_path: Path, run: Any) -> None:
    policies = ASKS + overridable("DENY-1", 'context.action == "covered"')
    catalog = write_asked(tmp_path, policies=policies)
    async with acting(settings, catalog) as stage:
        await holds(stage, ("opa", "operator"))
        task_id = await parked(stage)
        _, listed, _ = await run("approvals")
        assert "  denied by: DENY-1: DENY-1 says no" in listed
        assert "parley override ID --reason TEXT" in listed
        code, _, error = await run("approve", task_id, "--reason", "r", "--as", "opa")
        assert (code, "only `parley override` by operator" in error) == (2, True)
        code, said, _ = await run("approvals", "--diff", task_id)
        assert (code, "nothing has changed since it was asked" in said) == (0, True)
        await stage.execute("UPDATE tasks SET payload = payload || '{\"amount\": 1}' WHERE id = :id", task_id)
        _, said, _ = await run("approvals", "--diff", task_id)
        assert "does not stand for what is true now" in said
        code, said, _ = await run("approvals", "--diff", task_id, "--json")
        found = json.loads(said)
        assert ([one["field"] for one in found["changes"]], found["same"]) == (["payload"], False)
        code, said, _ = await run("override", task_id, "--reason", "agreed", "--as", "opa")
        assert (code, said) == (0, f"approved by opa; task {task_id} goes on\n")
        _, told, _ = await run("show", task_id)
        assert "overridden" in told
