"""Reading and handing in, through the commands, on a real database."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from control_plane.cli.main import main
from storage import tables
from tests.integration.commands import add_approval, add_task, pointed_at, read_row, run_json


@pytest.fixture
def database(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Connection]:
    """A connection to write with; commands are pointed at the same database."""
    with pointed_at(dsn, monkeypatch, tmp_path) as connection:
        yield connection


def test_pages_follow_one_another(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    name, at = f"t_{uuid.uuid4().hex}", datetime(2026, 1, 1, tzinfo=UTC)
    # Three share a moment: the id decides.
    made = [add_task(database, task_type=name, created_at=at + timedelta(seconds=n // 3)) for n in range(7)]
    seen: list[str] = []
    cursor: list[str] = []
    while True:
        page = run_json(capsys, "tasks", "--type", name, "--limit", "2", *cursor)
        seen += [row["id"] for row in page["tasks"]]
        if page["next"] is None:
            break
        cursor = ["--cursor", page["next"]]
    assert sorted(seen) == sorted(made)
    assert len(seen) == 7
    assert set(seen[:1]) == set(made[6:])


def test_filters(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"t_{uuid.uuid4().hex}"
    old = add_task(database, task_type=name, status="done", created_at=datetime(2020, 1, 1, tzinfo=UTC))
    new = add_task(database, task_type=name, status="parked", batch_id="b1")

    def ids(*arguments: str) -> set[str]:
        return {row["id"] for row in run_json(capsys, "tasks", "--type", name, *arguments)["tasks"]}

    assert ids() == {old, new}
    assert ids("--status", "done") == {old}
    assert ids("--since", "1h") == {new}
    assert ids("--batch", "b1") == {new}
    assert main(["tasks", "--status", "nonsense"]) == 2
    assert "one of submitted, running" in capsys.readouterr().err


def test_show_gives_the_whole_task(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    task = add_task(database)
    approval = add_approval(database, task)
    database.execute(insert(tables.subtasks).values(task_id=task, subtask_id="afford", status="parked"))
    found = run_json(capsys, "show", task)
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
        "approval_answers",
        "actions",
        "audits",
        "forks",
        "outcome",
    }
    assert main(["show", task]) == 0
    shown = capsys.readouterr().out
    assert approval in shown
    assert "not yet known" in shown


def test_unknown_ids_are_bad_input(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["show", "x"], ["explain", "x"], ["events", "x"], ["approve", "x", "--reason", "r"]):
        found = run_json(capsys, *arguments, code=2)
        assert found["error"]["kind"] == "NotFound"


def test_explain_before_a_decision_says_where_the_task_stands(
    database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    task = add_task(database, status="denied", reason="protected attribute")
    assert main(["explain", task]) == 2
    assert "is denied (protected attribute) and has no decision" in capsys.readouterr().err


def test_events_after(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    task = add_task(database)
    for number in range(3):
        database.execute(
            insert(tables.events).values(task_id=task, key=f"k{number}", event=f"e{number}", fence=3, data={})
        )
    first = run_json(capsys, "events", task, "--limit", "2")
    assert [row["event"] for row in first["events"]] == ["e0", "e1"]
    rest = run_json(capsys, "events", task, "--after", str(first["next"]))
    assert [row["event"] for row in rest["events"]] == ["e2"]
    assert rest["next"] is None


APPLICATION = {
    "Seniority": 9,
    "Home": "owner",
    "Time": 60,
    "Age": 53,
    "Marital": "married",
    "Records": "no",
    "Job": "fixed",
    "Expenses": 45,
    "Income": 170.0,
    "Assets": 2500.0,
    "Debt": 0.0,
    "Amount": 850,
    "Price": 1205,
}


def test_submitting_twice_under_a_key_gives_one_task(
    database: Connection, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, key = tmp_path / "a.json", uuid.uuid4().hex
    file.write_text(json.dumps(APPLICATION))
    submit = ("submit", "credit_review", str(file), "--idempotency-key", key)
    first = run_json(capsys, *submit)
    assert first["existed"] is False
    assert run_json(capsys, *submit) == {"task_id": first["task_id"], "existed": True}
    row = read_row(database, tables.tasks, id=first["task_id"])
    assert (row["status"], row["lane"], row["principal"]) == ("submitted", "traced", "bob")
    file.write_text(json.dumps({**APPLICATION, "Income": 1.0}))
    assert run_json(capsys, *submit, code=2)["error"]["kind"] == "IdempotencyConflict"


def test_a_payload_that_breaks_the_schema_is_bad_input(
    database: Connection, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({**APPLICATION, "Income": "much", "Pet": "cat"}))
    error = run_json(capsys, "submit", "credit_review", str(file), code=2)["error"]
    assert error["kind"] == "PayloadError"
    assert "Income" in error["message"]
    assert "Pet" in error["message"]


def test_a_file_without_a_usable_line_is_bad_input(
    database: Connection, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "cases.csv"
    file.write_text("application,Status," + ",".join(APPLICATION) + "\nX1,good,1\n")
    assert main(["run", "credit_review", str(file)]) == 2
    error = capsys.readouterr().err
    assert "line 2: got 3 columns" in error
    assert "no line can be used" in error


def test_without_a_database_the_message_says_what_to_do(
    database: Connection, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    assert main(["tasks"]) == 1
    assert "run `parley up`" in capsys.readouterr().err
