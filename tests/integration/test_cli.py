"""The commands and their services on a real database."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.cli.main import main
from control_plane.services import inbox, outcomes
from domain.errors import AnswerRefused, InputError, NotFound
from domain.task_type import TaskType
from storage import tables
from storage.engine import async_engine, sync_engine

LOAN = TaskType.model_validate(
    {
        "name": "cli_loan",
        "version": 1,
        "payload_schema": {},
        "outcome_map": {"good": "approve", "bad": "decline"},
        "answer": "afford",
        "sla": {"deadline": "PT15M"},
        "plan": {
            "subtasks": [
                {
                    "id": "afford",
                    "question": "?",
                    "panel": ["a"],
                    "actions": [{"name": "approve"}, {"name": "decline"}],
                    "context": {"working": []},
                    "strategy": {"name": "plurality"},
                    "executor": "record_decision",
                }
            ]
        },
    }
)
TYPES = {LOAN.name: LOAN}


@pytest.fixture
def database(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Connection]:
    """A connection to write with; commands are pointed at the same database."""
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PARLEY_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PARLEY_PRINCIPAL", "bob")
    engine = sync_engine(dsn)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection
    engine.dispose()


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    made = async_engine(dsn, size=16)
    yield made
    await made.dispose()


def _task(database: Connection, **given: Any) -> str:
    row = {
        "id": str(uuid.uuid4()),
        "task_type": LOAN.name,
        "type_version": 1,
        "payload": {"Income": 1},
        "request_hash": "h",
        "principal": "alice",
        "lane": "direct",
        "status": "parked",
        "seed": 0,
        "memory_as_of": datetime.now(UTC),
        "deadline_at": datetime.now(UTC) + timedelta(minutes=15),
        "due": False,
        "fence": 3,
        **given,
    }
    database.execute(insert(tables.tasks).values(row))
    return str(row["id"])


def _approval(database: Connection, task_id: str, **given: Any) -> str:
    row = {
        "id": str(uuid.uuid4()),
        "task_id": task_id,
        "subtask_id": "afford",
        "cause": "stalemate",
        "shown": {"action": None, "options": ["approve", "decline"]},
        "digest": uuid.uuid4().hex,
        "role": "approver",
        "submitter": "alice",
        "status": "open",
        "expires_at": datetime.now(UTC) + timedelta(days=1),
        **given,
    }
    database.execute(insert(tables.approvals).values(row))
    return str(row["id"])


def _json(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def _row(database: Connection, table: Any, **where: Any) -> dict[str, Any]:
    query = select(table).where(*(table.c[name] == value for name, value in where.items()))
    return dict(database.execute(query).mappings().one())


def test_pages_follow_one_another(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    name, at = f"t_{uuid.uuid4().hex}", datetime(2026, 1, 1, tzinfo=UTC)
    # Three share a moment: the id decides.
    made = [_task(database, task_type=name, created_at=at + timedelta(seconds=n // 3)) for n in range(7)]
    seen: list[str] = []
    cursor: list[str] = []
    while True:
        page = _json(capsys, "tasks", "--type", name, "--limit", "2", *cursor)
        seen += [row["id"] for row in page["tasks"]]
        if page["next"] is None:
            break
        cursor = ["--cursor", page["next"]]
    assert sorted(seen) == sorted(made)
    assert len(seen) == 7
    assert set(seen[:1]) == set(made[6:])


def test_filters(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"t_{uuid.uuid4().hex}"
    old = _task(database, task_type=name, status="done", created_at=datetime(2020, 1, 1, tzinfo=UTC))
    new = _task(database, task_type=name, status="parked", batch_id="b1")

    def ids(*arguments: str) -> set[str]:
        return {row["id"] for row in _json(capsys, "tasks", "--type", name, *arguments)["tasks"]}

    assert ids() == {old, new}
    assert ids("--status", "done") == {old}
    assert ids("--since", "1h") == {new}
    assert ids("--batch", "b1") == {new}
    assert main(["tasks", "--status", "nonsense"]) == 2
    assert "one of submitted, running" in capsys.readouterr().err


def test_show_gives_the_whole_task(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    task = _task(database)
    approval = _approval(database, task)
    database.execute(insert(tables.subtasks).values(task_id=task, subtask_id="afford", status="parked"))
    found = _json(capsys, "show", task)
    assert found["task"]["id"] == task
    assert [row["subtask_id"] for row in found["subtasks"]] == ["afford"]
    assert [row["id"] for row in found["approvals"]] == [approval]
    assert found["outcome"] is None
    assert set(found) == {
        "task",
        "subtasks",
        "decisions",
        "proposals",
        "verdicts",
        "approvals",
        "actions",
        "outcome",
    }
    assert main(["show", task]) == 0
    shown = capsys.readouterr().out
    assert approval in shown
    assert "not yet known" in shown


def test_unknown_ids_are_bad_input(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["show", "x"], ["explain", "x"], ["events", "x"], ["approve", "x", "--reason", "r"]):
        found = _json(capsys, *arguments, code=2)
        assert found["error"]["kind"] == "NotFound"


def test_explain_before_a_decision_says_where_the_task_stands(
    database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    task = _task(database, status="denied", reason="protected attribute")
    assert main(["explain", task]) == 2
    assert "is denied (protected attribute) and has no decision" in capsys.readouterr().err


def test_events_after(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    task = _task(database)
    for number in range(3):
        database.execute(
            insert(tables.events).values(task_id=task, key=f"k{number}", event=f"e{number}", fence=3, data={})
        )
    first = _json(capsys, "events", task, "--limit", "2")
    assert [row["event"] for row in first["events"]] == ["e0", "e1"]
    rest = _json(capsys, "events", task, "--after", str(first["next"]))
    assert [row["event"] for row in rest["events"]] == ["e2"]
    assert rest["next"] is None


def test_the_inbox_lists_what_can_still_be_answered(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    task = _task(database)
    waiting = _approval(database, task)
    late = _approval(database, task, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    answered = _approval(database, task, status="approved")
    listed = {row["id"] for row in _json(capsys, "approvals")["approvals"]}
    assert waiting in listed
    assert not {late, answered} & listed


def test_the_inbox_shows_what_the_answer_is_bound_to(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    shown = {"question": "Carry it?", "action": None, "options": ["approve", "decline"], "payload": {"Income": 7}}
    approval = _approval(database, _task(database), shown=shown, digest="d1g3st" + uuid.uuid4().hex)
    assert main(["approvals"]) == 0
    printed = capsys.readouterr().out
    for part in (approval, "Carry it?", "choose one of approve, decline", "Income: 7", "d1g3st"):
        assert part in printed


def test_approve_by_task_wakes_it(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    task = _task(database)
    approval = _approval(database, task)
    found = _json(capsys, "approve", task, "--action", "decline", "--reason", "too thin")
    assert (found["id"], found["status"], found["option"]) == (approval, "approved", "decline")
    row = _row(database, tables.approvals, id=approval)
    assert (row["answered_by"], row["reason"]) == ("bob", "too thin")
    assert row["answered_at"] is not None
    assert _row(database, tables.tasks, id=task)["due"] is True
    event = _row(database, tables.events, task_id=task)
    assert (event["key"], event["event"], event["fence"]) == (
        f"approval:{approval}:answered",
        "approve.answered",
        3,
    )
    assert "too thin" not in json.dumps(event["data"])


def test_refuse(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    task = _task(database)
    approval = _approval(database, task, cause="FIN-001", shown={"action": "approve", "options": ["approve"]})
    assert _json(capsys, "refuse", approval, "--reason", "no", "--as", "carol")["status"] == "refused"
    assert _row(database, tables.approvals, id=approval)["answered_by"] == "carol"


@pytest.mark.parametrize("cause", ["stalemate", "no_quorum", "blocked", "below_threshold"])
def test_where_the_panel_left_it_open_the_action_is_required(
    cause: str, database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    approval = _approval(database, _task(database), cause=cause)
    assert main(["approve", approval, "--reason", "r"]) == 2
    assert "choose with --action one of approve, decline" in capsys.readouterr().err
    assert main(["approve", approval, "--reason", "r", "--action", "double"]) == 2
    assert "not among what was shown" in capsys.readouterr().err
    assert _row(database, tables.approvals, id=approval)["status"] == "open"


def test_what_policy_asks_is_approved_as_shown(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    approval = _approval(
        database, _task(database), cause="FIN-001", shown={"action": "approve", "options": ["approve", "decline"]}
    )
    assert main(["approve", approval, "--reason", "r", "--action", "decline"]) == 2
    assert "approve it as shown, or refuse" in capsys.readouterr().err
    assert _json(capsys, "approve", approval, "--reason", "r")["option"] is None


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
    task = _task(database)
    approval = _approval(database, task, **given)
    before = _row(database, tables.approvals, id=approval)
    found = _json(capsys, "refuse", task, "--reason", "r", code=2)
    assert found["error"]["kind"] == "AnswerRefused"
    assert said in found["error"]["message"]
    assert _row(database, tables.approvals, id=approval) == before
    assert _row(database, tables.tasks, id=task)["due"] is False


def test_an_answer_to_something_else_than_shown_is_refused(
    database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    approval = _approval(database, _task(database))
    assert main(["refuse", approval, "--reason", "r", "--digest", "other"]) == 2
    assert "digest is not that of what is shown" in capsys.readouterr().err


def test_an_ended_task_takes_no_answer(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    approval = _approval(database, _task(database, status="cancelled"))
    assert main(["refuse", approval, "--reason", "r"]) == 2
    assert "has ended (cancelled)" in capsys.readouterr().err


def test_a_second_answer_is_told_of_the_first_even_when_the_task_has_ended(
    database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    approval = _approval(
        database, _task(database, status="done"), status="approved", answered_by="carol", answered_at=at
    )
    assert main(["refuse", approval, "--reason", "r"]) == 2
    assert "already answered: approved by carol at 2026-01-01" in capsys.readouterr().err


def test_a_task_with_several_open_approvals_needs_the_approvals_id(
    database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    task = _task(database)
    both = [_approval(database, task), _approval(database, task, subtask_id="terms")]
    assert main(["refuse", task, "--reason", "r"]) == 2
    error = capsys.readouterr().err
    assert all(one in error for one in both)


async def test_of_fifty_answers_at_once_one_counts(database: Connection, engine: AsyncEngine) -> None:
    task = _task(database)
    approval = _approval(database, task)

    async def answer(number: int) -> object:
        who = f"person{number}"
        if number % 2:
            return await inbox.refuse(engine, approval, principal=who, reason="r", digest=None)
        return await inbox.approve(engine, approval, principal=who, reason="r", action="approve", digest=None)

    answers = await asyncio.gather(*(answer(number) for number in range(50)), return_exceptions=True)
    refused = [one for one in answers if isinstance(one, AnswerRefused)]
    assert len(refused) == 49
    assert all("already answered" in str(one) for one in refused)
    assert _row(database, tables.events, task_id=task)["event"] == "approve.answered"


async def test_an_answer_calls_a_worker(database: Connection, engine: AsyncEngine, dsn: str) -> None:
    import psycopg

    approval = _approval(database, _task(database))
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as listening:
        await listening.execute("LISTEN parley_tasks")
        await inbox.refuse(engine, approval, principal="bob", reason="r", digest=None)
        heard = [one.channel async for one in listening.notifies(timeout=5, stop_after=1)]
    assert heard == ["parley_tasks"]


def _episode(database: Connection, task: str, action: str | None) -> None:
    row = {"id": str(uuid.uuid4()), "kind": "episodic", "task_type": LOAN.name, "task_id": task}
    database.execute(insert(tables.memories).values(**row, text="t", data={"action": action}))


async def test_an_outcome_makes_the_episode_known(database: Connection, engine: AsyncEngine) -> None:
    task = _task(database, status="done")
    _episode(database, task, "approve")
    recorded = await outcomes.record_one(engine, TYPES, task, "bad", "bob")
    assert recorded["right_action"] == "decline"
    row = _row(database, tables.outcomes, task_id=task)
    assert (row["label"], row["right_action"], row["recorded_by"]) == ("bad", "decline", "bob")
    memory = _row(database, tables.memories, task_id=task)
    assert memory["data"] == {"action": "approve", "outcome": "bad", "right": False}
    assert memory["known_at"] is not None


async def test_an_outcome_can_be_corrected_and_repeated(database: Connection, engine: AsyncEngine) -> None:
    task = _task(database, status="done")
    _episode(database, task, "approve")
    await outcomes.record_one(engine, TYPES, task, "bad", "bob")
    first = _row(database, tables.memories, task_id=task)
    await outcomes.record_one(engine, TYPES, task, "bad", "bob")
    assert _row(database, tables.memories, task_id=task) == first
    await outcomes.record_one(engine, TYPES, task, "good", "carol")
    corrected = _row(database, tables.memories, task_id=task)
    assert corrected["data"] == {"action": "approve", "outcome": "good", "right": True}
    assert corrected["known_at"] > first["known_at"]
    assert _row(database, tables.outcomes, task_id=task)["recorded_by"] == "carol"


async def test_an_episode_without_an_action_was_not_right(database: Connection, engine: AsyncEngine) -> None:
    task = _task(database, status="denied")
    _episode(database, task, None)
    await outcomes.record_one(engine, TYPES, task, "good", "bob")
    assert _row(database, tables.memories, task_id=task)["data"]["right"] is False


async def test_an_unknown_label_or_task_is_refused(database: Connection, engine: AsyncEngine) -> None:
    task = _task(database)
    with pytest.raises(InputError, match="one of bad, good"):
        await outcomes.record_one(engine, TYPES, task, "ugly", "bob")
    with pytest.raises(NotFound):
        await outcomes.record_one(engine, TYPES, "nowhere", "good", "bob")
    with pytest.raises(InputError, match="set PARLEY_CATALOG"):
        await outcomes.record_one(engine, {}, task, "good", "bob")
    assert database.scalar(text("SELECT count(*) FROM outcomes WHERE task_id = :id"), {"id": task}) == 0


async def test_outcomes_in_bulk(database: Connection, engine: AsyncEngine) -> None:
    mark = uuid.uuid4().hex
    first = _task(database, case_key=f"{mark}1", batch_id="x")
    again = _task(database, case_key=f"{mark}1", batch_id="y")
    _task(database, case_key=f"{mark}2", batch_id="x")
    cases = [
        outcomes.LabelledCase(2, f"{mark}1", "good"),
        outcomes.LabelledCase(3, f"{mark}2", "ugly"),
        outcomes.LabelledCase(4, f"{mark}3", "bad"),
    ]
    only = await outcomes.record_cases(engine, TYPES, cases, "bob", ["x"])
    assert (only.tasks, only.cases, list(only.unmatched)) == (1, 3, [f"{mark}3"])
    assert [problem.line for problem in only.bad] == [3]
    every = await outcomes.record_cases(engine, TYPES, cases, "bob")
    assert every.tasks == 2
    assert {_row(database, tables.outcomes, task_id=one)["label"] for one in (first, again)} == {"good"}
