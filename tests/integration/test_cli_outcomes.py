"""Recording outcomes on a real database."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.cli.main import main
from control_plane.services import outcomes
from domain.errors import InputError, NotFound
from storage import tables
from storage.engine import async_engine
from tests.integration.commands import LOAN, TYPES, add_task, pointed_at, read_row, run_json


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


def _episode(database: Connection, task: str, action: str | None) -> None:
    row = {"id": str(uuid.uuid4()), "kind": "episodic", "task_type": LOAN.name, "task_id": task}
    database.execute(insert(tables.memories).values(**row, text="t", data={"action": action}))


async def test_an_outcome_makes_the_episode_known(database: Connection, engine: AsyncEngine) -> None:
    task = add_task(database, status="done")
    _episode(database, task, "approve")
    recorded = await outcomes.record_one(engine, TYPES, task, "bad", "bob")
    assert recorded["right_action"] == "decline"
    row = read_row(database, tables.outcomes, task_id=task)
    assert (row["label"], row["right_action"], row["recorded_by"]) == ("bad", "decline", "bob")
    memory = read_row(database, tables.memories, task_id=task)
    assert memory["data"] == {"action": "approve", "outcome": "bad", "right": False}
    assert memory["known_at"] is not None


async def test_an_outcome_can_be_corrected_and_repeated(database: Connection, engine: AsyncEngine) -> None:
    task = add_task(database, status="done")
    _episode(database, task, "approve")
    await outcomes.record_one(engine, TYPES, task, "bad", "bob")
    first = read_row(database, tables.memories, task_id=task)
    await outcomes.record_one(engine, TYPES, task, "bad", "bob")
    assert read_row(database, tables.memories, task_id=task) == first
    await outcomes.record_one(engine, TYPES, task, "good", "carol")
    corrected = read_row(database, tables.memories, task_id=task)
    assert corrected["data"] == {"action": "approve", "outcome": "good", "right": True}
    assert corrected["known_at"] > first["known_at"]
    assert read_row(database, tables.outcomes, task_id=task)["recorded_by"] == "carol"


async def test_an_episode_without_an_action_was_not_right(database: Connection, engine: AsyncEngine) -> None:
    task = add_task(database, status="denied")
    _episode(database, task, None)
    await outcomes.record_one(engine, TYPES, task, "good", "bob")
    assert read_row(database, tables.memories, task_id=task)["data"]["right"] is False


async def test_an_unknown_label_or_task_is_refused(database: Connection, engine: AsyncEngine) -> None:
    task = add_task(database)
    with pytest.raises(InputError, match="one of bad, good"):
        await outcomes.record_one(engine, TYPES, task, "ugly", "bob")
    with pytest.raises(NotFound):
        await outcomes.record_one(engine, TYPES, "nowhere", "good", "bob")
    with pytest.raises(InputError, match="set PARLEY_CATALOG"):
        await outcomes.record_one(engine, {}, task, "good", "bob")
    assert database.scalar(text("SELECT count(*) FROM outcomes WHERE task_id = :id"), {"id": task}) == 0


async def test_outcomes_in_bulk(database: Connection, engine: AsyncEngine) -> None:
    mark = uuid.uuid4().hex
    first = add_task(database, case_key=f"{mark}1", batch_id="x")
    again = add_task(database, case_key=f"{mark}1", batch_id="y")
    add_task(database, case_key=f"{mark}2", batch_id="x")
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
    assert {read_row(database, tables.outcomes, task_id=one)["label"] for one in (first, again)} == {"good"}


def test_outcomes_from_a_file(database: Connection, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    task = add_task(database, task_type="credit_review", case_key=mark)
    file = tmp_path / "labels.csv"
    file.write_text(f"id,status\n{mark},bad\n,good\n{mark}x,good\n")
    found = run_json(capsys, "outcome", "--csv", str(file), "--key", "id", "--label", "status")
    assert (found["tasks"], found["unmatched"], [one["line"] for one in found["bad"]]) == (1, [f"{mark}x"], [3])
    assert read_row(database, tables.outcomes, task_id=task)["right_action"] == "decline"
    file.write_text(f"id,status\n{mark},ugly\n")
    assert main(["outcome", "--csv", str(file), "--key", "id", "--label", "status"]) == 2
    assert "line 2: outcome 'ugly': not a label of credit_review: one of bad, good" in capsys.readouterr().err
