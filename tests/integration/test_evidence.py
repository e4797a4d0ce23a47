"""A file of evidence: whatever is changed in it is found, and whatever is no evidence is said to be none."""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, DateTime, Double, Integer, Text

from control_plane.services.evidence import DEPTH, LIMIT_BYTES, export, verify_file
from control_plane.services.inbox import approve
from domain.audit import NOT_COVERED, STATED
from domain.errors import InputError
from domain.quotes import Quotes
from domain.task import TaskStatus
from orchestration import anchors
from orchestration.run import Runtime
from storage.repositories import erasing, erasure, outcomes
from storage.schema import metadata
from tests.integration.test_audit_chain import go_on, parts, play
from tests.integration.test_lanes import LARGE

__all__ = ["parts"]

Evidence = dict[str, Any]
TABLES = {how.table for how in STATED.values()} - {"tasks"}


class File:
    """A real file of evidence, of a task that asked a person, and acted, and whose outcome is known."""

    def __init__(self, path: Path, told: Evidence, key: str) -> None:
        self.path, self.told, self.key = path, told, key

    def judged(self, evidence: Any, key: str | None = None) -> str:
        """holds, or what verifying says."""
        return self.judged_raw(json.dumps(evidence).encode(), key)

    def judged_raw(self, raw: bytes, key: str | None = None) -> str:
        self.path.write_bytes(raw)
        try:
            found = verify_file(self.path, key)
        except InputError as problem:
            said = str(problem)
            return said if said.startswith(f"--file {self.path}: this is not evidence") else "holds, by a bad word"
        return "holds" if found.holds else "; ".join(one.detail for one in found.problems)

    def without(self, change: Callable[[Evidence], Any]) -> str:
        """What is said of it with this change."""
        changed = copy.deepcopy(self.told)
        change(changed)
        return self.judged(changed, self.key)


@pytest.fixture
async def file(parts: tuple[Runtime, Path]) -> File:
    runtime, home = parts
    task_id = await play(runtime, LARGE)
    await approve(runtime.engine, task_id, principal="bob", reason="fine", action=None, digest=None)
    assert await go_on(runtime, task_id) is TaskStatus.DONE
    async with runtime.engine.begin() as connection:
        row = {"task_id": task_id, "label": "good", "right_action": "approve", "recorded_by": "cleo"}
        await outcomes.record(connection, [row])
    made = await anchors.anchor(runtime.engine, home, None)
    assert made.header is not None
    told = json.loads(json.dumps(await export(runtime.engine, home, task_id, None)))
    assert set(told["rows"]) == TABLES
    return File(home / "evidence.json", told, made.header.key)


def other(value: Any, column: Column[Any] | None = None) -> Any:
    """Something else of the same kind."""
    if column is not None and (value is None or isinstance(column.type, DateTime)):
        at = datetime.now(UTC) if value is None else datetime.fromisoformat(value) + timedelta(microseconds=1)
        made = {DateTime: at.isoformat(), Text: "x", Boolean: True, Integer: 1, Double: 0.5}
        return next((one for kind, one in made.items() if isinstance(column.type, kind)), {"x": 1})
    changes: dict[type, Callable[[Any], Any]] = {
        bool: lambda one: not one,
        int: lambda one: one + 1,
        float: lambda one: one + 0.5,
        str: lambda one: one[:-1] + ("0" if one[-1:] != "0" else "1"),
        list: lambda one: [*one, 1],
        dict: lambda one: {**one, "x": 1},
    }
    return changes[type(value)](value) if value is not None else "x"


def cells(told: Evidence) -> Iterator[tuple[str, list[Any], Column[Any] | None]]:
    """Table and column, the way to it, and the column; of everything that is in the file."""
    yield from _of_row("tasks", ["task"], told["task"])
    for table, some in told["rows"].items():
        for at, row in enumerate(some):
            yield from _of_row(table, ["rows", table, at], row)
    for at, event in enumerate(told["events"]):
        yield from _of_row("events", ["events", at], event)
    for at, entry in enumerate(told["chain"]):
        yield from _of_row("audit_log", ["chain", at], entry)
    anchor = [["anchor", "signature"], ["anchor", "proof"], *(["anchor", "head", at] for at in range(3))]
    header = [["anchor", "header", name] for name in told["anchor"]["header"]]
    rest = [[name] for name in told if name not in ("rows", "task", "events", "chain", "anchor")]
    for way in [*anchor, *header, *rest]:
        yield ".".join(map(str, way)), way, None


def _of_row(table: str, way: list[Any], row: Evidence) -> Iterator[tuple[str, list[Any], Column[Any] | None]]:
    for name in row:
        yield f"{table}.{name}", [*way, name], metadata.tables[table].c[name]


def put(told: Evidence, way: list[Any], change: Callable[[Any], Any]) -> Evidence:
    changed = copy.deepcopy(told)
    place = changed
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = change(place[way[-1]])
    return changed


def test_whatever_is_changed_is_found_or_is_listed(file: File) -> None:
    assert file.judged(file.told, file.key) == "holds"
    unfound: set[str] = set()
    kinds: dict[str, int] = {}
    for name, way, column in cells(file.told):
        said = file.judged(put(file.told, way, lambda value, column=column: other(value, column)), file.key)
        kinds[name] = kinds.get(name, 0) + 1
        if said == "holds":
            unfound.add(name)
    assert unfound == {f"{table}.{column}" for table, some in NOT_COVERED.items() for column in some}
    assert len(kinds) > 150


def test_a_file_says_nothing_without_its_parts(file: File) -> None:
    assert file.without(lambda one: one.update(anchor=None)).startswith("there is none in the file that the key")
    assert file.judged({**file.told, "anchor": None}) == "holds"
    nothing = {"chain": [], "events": [], "rows": {}, "head": None}
    assert "nothing here is spoken for" in file.without(lambda one: one.update(nothing, anchor=None))
    assert "is gone" in file.without(lambda one: one.update(events=[]))
    assert "is gone" in file.without(lambda one: one.update(rows={}))
    assert "of another task" in file.without(lambda one: one.update(task_id="B"))
    relabelled = json.dumps(file.told).replace(file.told["task_id"], "B")
    assert "does not have its hash" in file.judged_raw(relabelled.encode(), file.key)
    assert "it is signed by" in file.judged(file.told, "0" * 64)


async def test_the_evidence_of_an_erased_task_holds(file: File, parts: tuple[Runtime, Path]) -> None:
    runtime, home = parts
    task_id = file.told["task_id"]
    async with runtime.engine.begin() as connection:
        changes = await erasure.own_changes(connection, [task_id], Quotes(frozenset()))
        await erasing.put(connection, changes)
        await erasing.tell(connection, changes, {"by": "dpo"}, "dpo", [task_id])
    told = json.loads(json.dumps(await export(runtime.engine, home, task_id, None)))
    assert {one.column for one in changes} >= {"contexts", "summary", "data"}
    assert file.judged(told, file.key) == "holds"
    told["rows"]["snapshots"][0]["contexts"] = [{"x": 1}]
    assert "the row of snapshots" in file.judged(told, file.key)


SHAPES: dict[str, Callable[[Evidence], Any]] = {
    "a column is missing": lambda one: one["rows"]["proposals"][0].pop("confidence"),
    "a column too many": lambda one: one["rows"]["proposals"][0].update(more=1),
    "rows are a list": lambda one: one.update(rows=[]),
    "a table is an object": lambda one: one["rows"].update(proposals={"a": 1}),
    "a row is a text": lambda one: one["rows"]["proposals"].append("x"),
    "an unknown table": lambda one: one["rows"].update(users=[]),
    "a naive time": lambda one: one["chain"][0].update(at="2026-01-01T00:00:00"),
    "a time out of range": lambda one: one["chain"][0].update(at="0001-01-01T00:00:00+14:00"),
    "a time that is a number": lambda one: one["events"][0].update(at=7),
    "a large place": lambda one: one["chain"][0].update(seq=2**70),
    "a place that is a text": lambda one: one["chain"][0].update(seq="1"),
    "a place that is true": lambda one: one["chain"][0].update(seq=True),
    "a body that is a list": lambda one: one["chain"][0].update(body=[1]),
    "rows that are no digests": lambda one: one["chain"][0].update(body={"rows": {"a": 1}}),
    "a hash that is none": lambda one: one["chain"][0].update(hash="zz"),
    "an event twice": lambda one: one["events"].append(one["events"][0]),
    "a head of one": lambda one: one.update(head=[1]),
    "a key that is none": lambda one: one["anchor"]["header"].update(key=7),
    "a proof that is none": lambda one: one["anchor"].update(proof=[["up", "0" * 64]]),
    "the anchor is a list": lambda one: one.update(anchor=[]),
    "another format": lambda one: one.update(format="parley-evidence/9"),
    "no task": lambda one: one.update(task=None),
    "a task without an id": lambda one: one["task"].pop("id"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_no_evidence_is_said_to_be_none(file: File, shape: str) -> None:
    said = file.without(SHAPES[shape])
    assert "wrote: at " in said


def test_a_kind_that_is_not_known_is_told(file: File) -> None:
    def add(one: Evidence) -> None:
        one["chain"][3].update(body={"rows": {"wishes": {"a": "0" * 64}}})

    assert "'wishes', which this release does not know" in file.without(add)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "give JSON"),
        (b"\xff", "not UTF-8"),
        (b"[" * 200_000, f"more than {DEPTH} levels"),
        (b'{"format": NaN}', "NaN is not JSON"),
        (b'{"format": 1, "format": 2}', "stands twice"),
        (b"[]", "at (root)"),
        (b"7", "at (root)"),
    ],
)
def test_what_is_no_json_is_said_to_be_none(file: File, raw: bytes, said: str) -> None:
    assert said in file.judged_raw(raw)


def test_a_file_has_a_largest_size(file: File) -> None:
    with file.path.open("wb") as out:
        out.truncate(LIMIT_BYTES + 1)
    with pytest.raises(InputError, match="larger than 65536 KiB"):
        verify_file(file.path, None)


def test_what_cannot_be_read_is_said(file: File) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        verify_file(file.path.parent, None)


def nodes(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to everything in it."""
    yield way
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in inner:
        yield from nodes(one, (*way, step))


def covered(way: tuple[Any, ...]) -> bool:
    if way[:1] == ("task",) and len(way) > 1:
        return way[1] not in NOT_COVERED["tasks"]
    return not (way[:1] == ("rows",) and len(way) > 3 and way[3] in NOT_COVERED.get(way[1], ()))


HOSTILE: list[Any] = [None, True, 0, -1, 2**63, 0.5, "", "erased:x", "\0", [], {}, {"erased": None}, [[]], "2026-01-01"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=300)
@given(data=st.data())
def test_nothing_that_is_done_to_it_is_missed_or_breaks_the_verifier(file: File, data: st.DataObject) -> None:
    ways = [way for way in nodes(file.told) if way]
    way = list(data.draw(st.sampled_from(ways)))
    what = data.draw(st.sampled_from(["put", "drop", "deepen", "cut"]))
    if what == "cut":
        raw = json.dumps(file.told).encode()
        assert file.judged_raw(raw[: data.draw(st.integers(0, len(raw) - 1))], file.key) != "holds"
        return
    if what == "deepen":
        depth = data.draw(st.integers(1, 60))

        def change(value: Any) -> Any:
            for _ in range(depth):
                value = [value]
            return value

        changed = put(file.told, way, change)
    elif what == "drop":
        changed = copy.deepcopy(file.told)
        place: Any = changed
        for step in way[:-1]:
            place = place[step]
        del place[way[-1]]
    else:
        hostile = data.draw(st.sampled_from(HOSTILE))
        changed = put(file.told, way, lambda _: hostile)
    if changed != file.told and covered(tuple(way)):
        assert file.judged(changed, file.key) != "holds"
    else:
        file.judged(changed, file.key)
