"""The human inbox on a real database."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.cli.main import main
from control_plane.services import inbox
from domain.errors import AnswerRefused
from storage import tables
from storage.engine import async_engine
from tests.integration.commands import add_approval, add_task, pointed_at, read_row, run_json


@pytest.fixture
def database(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Connection]:
    """A connection to write with; commands are pointed at the same database."""
    with pointed_at(dsn, monkeypatch, tmp_path) as connection:
        yield connection


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    made = async_engine(dsn, size=16)
    yield made
    await made.dispose()


def test_the_inbox_lists_what_can_still_be_answered(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    task = add_task(database)
    waiting = add_approval(database, task)
    late = add_approval(database, task, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    answered = add_approval(database, task, status="approved")
    listed = {row["id"] for row in run_json(capsys, "approvals")["approvals"]}
    assert waiting in listed
    assert not {late, answered} & listed


def test_the_inbox_shows_what_the_answer_is_bound_to(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    shown = {"question": "Carry it?", "action": None, "options": ["approve", "decline"], "payload": {"Income": 7}}
    approval = add_approval(database, add_task(database), shown=shown, digest="d1g3st" + uuid.uuid4().hex)
    assert main(["approvals"]) == 0
    printed = capsys.readouterr().out
    for part in (approval, "Carry it?", "choose one of approve, decline", "Income: 7", "d1g3st"):
        assert part in printed


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_inbox_says_what_is_only_tried(
    database: Connection, capsys: pytest.CaptureFixture[str], dry_run: bool
) -> None:
    approval = add_approval(database, add_task(database, dry_run=dry_run))
    assert main(["approvals"]) == 0
    mine = next(part for part in capsys.readouterr().out.split("\n\n") if approval in part)
    assert ("a dry run: nothing is done, whatever the answer" in mine) == dry_run
    assert {row["dry_run"] for row in run_json(capsys, "approvals")["approvals"] if row["id"] == approval} == {dry_run}


def test_approve_by_task_wakes_it(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    task = add_task(database)
    approval = add_approval(database, task)
    found = run_json(capsys, "approve", task, "--action", "decline", "--reason", "too thin")
    assert (found["id"], found["status"], found["option"]) == (approval, "approved", "decline")
    row = read_row(database, tables.approvals, id=approval)
    assert (row["answered_by"], row["reason"]) == ("bob", "too thin")
    assert row["answered_at"] is not None
    assert read_row(database, tables.tasks, id=task)["due"] is True
    event = read_row(database, tables.events, task_id=task)
    assert (event["key"], event["event"], event["fence"]) == (
        f"approval:{approval}:answered",
        "approve.answered",
        3,
    )
    assert "too thin" not in json.dumps(event["data"])


def test_refuse(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    task = add_task(database)
    approval = add_approval(database, task, cause="FIN-001", shown={"action": "approve", "options": ["approve"]})
    assert run_json(capsys, "refuse", approval, "--reason", "no", "--as", "carol")["status"] == "refused"
    assert read_row(database, tables.approvals, id=approval)["answered_by"] == "carol"


@pytest.mark.parametrize("cause", ["stalemate", "no_quorum", "blocked", "below_threshold"])
def test_where_the_panel_left_it_open_the_action_is_required(
    cause: str, database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    approval = add_approval(database, add_task(database), cause=cause)
    assert main(["approve", approval, "--reason", "r"]) == 2
    assert "choose with --action one of approve, decline" in capsys.readouterr().err
    assert main(["approve", approval, "--reason", "r", "--action", "double"]) == 2
    assert "not among what was shown" in capsys.readouterr().err
    assert read_row(database, tables.approvals, id=approval)["status"] == "open"


def test_what_policy_asks_is_approved_as_shown(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    approval = add_approval(
        database, add_task(database), cause="FIN-001", shown={"action": "approve", "options": ["approve", "decline"]}
    )
    assert main(["approve", approval, "--reason", "r", "--action", "decline"]) == 2
    assert "approve it as shown, or refuse" in capsys.readouterr().err
    assert run_json(capsys, "approve", approval, "--reason", "r")["option"] is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"submitter": "bob"}, "bob submitted the task"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "late: it expired at 2020-01-01"),
        ({"status": "expired"}, "the answer is late"),
        ({"status": "refused", "answered_by": "carol", "answered_at": datetime(2026, 1, 1, tzinfo=UTC)}, "by carol at"),
    ],
)
def test_a_refused_answer_says_why_and_changes_nothing(
    given: dict[str, Any], said: str, database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    task = add_task(database)
    approval = add_approval(database, task, **given)
    before = read_row(database, tables.approvals, id=approval)
    found = run_json(capsys, "refuse", task, "--reason", "r", code=2)
    assert found["error"]["kind"] == "AnswerRefused"
    assert said in found["error"]["message"]
    assert read_row(database, tables.approvals, id=approval) == before
    assert read_row(database, tables.tasks, id=task)["due"] is False


def test_an_answer_to_something_else_than_shown_is_refused(
    database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    approval = add_approval(database, add_task(database))
    assert main(["refuse", approval, "--reason", "r", "--digest", "other"]) == 2
    assert "digest is not that of what is shown" in capsys.readouterr().err


def test_an_ended_task_takes_no_answer(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    approval = add_approval(database, add_task(database, status="cancelled"))
    assert main(["refuse", approval, "--reason", "r"]) == 2
    assert "has ended (cancelled)" in capsys.readouterr().err


def test_a_second_answer_is_told_of_the_first_even_when_the_task_has_ended(
    database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    approval = add_approval(
        database, add_task(database, status="done"), status="approved", answered_by="carol", answered_at=at
    )
    assert main(["refuse", approval, "--reason", "r"]) == 2
    assert "already answered: approved by carol at 2026-01-01" in capsys.readouterr().err


def test_a_task_with_several_open_approvals_needs_the_approvals_id(
    database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    task = add_task(database)
    both = [add_approval(database, task), add_approval(database, task, subtask_id="terms")]
    assert main(["refuse", task, "--reason", "r"]) == 2
    error = capsys.readouterr().err
    assert all(one in error for one in both)


async def test_of_fifty_answers_at_once_one_counts(database: Connection, engine: AsyncEngine) -> None:
    task = add_task(database)
    approval = add_approval(database, task)

    async def answer(number: int) -> object:
        who = f"person{number}"
        if number % 2:
            return await inbox.refuse(engine, approval, principal=who, reason="r", digest=None)
        return await inbox.approve(engine, approval, principal=who, reason="r", action="approve", digest=None)

    answers = await asyncio.gather(*(answer(number) for number in range(50)), return_exceptions=True)
    refused = [one for one in answers if isinstance(one, AnswerRefused)]
    assert len(refused) == 49
    assert all("already answered" in str(one) for one in refused)
    assert read_row(database, tables.events, task_id=task)["event"] == "approve.answered"


async def test_an_answer_calls_a_worker(database: Connection, engine: AsyncEngine, dsn: str) -> None:
    import psycopg

    approval = add_approval(database, add_task(database))
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as listening:
        await listening.execute("LISTEN parley_tasks")
        await inbox.refuse(engine, approval, principal="bob", reason="r", digest=None)
        heard = [one.channel async for one in listening.notifies(timeout=5, stop_after=1)]
    assert heard == ["parley_tasks"]
