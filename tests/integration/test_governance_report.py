"""Every verdict, question, answer, denial and override of real tasks is reported once, where the chain has it."""

import csv
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from control_plane.services import audit, inbox
from control_plane.services.control import control
from control_plane.services.forks import Fork, fork_task
from domain.errors import InputError
from domain.merkle import Head
from domain.settings import Settings
from domain.task import Lane, TaskStatus
from evaluation.governance.cells import COLUMNS
from evaluation.governance.report import FORMATS, Made, Under, make_report
from evaluation.governance.row import CHAIN_STATES, KINDS
from evaluation.governance.window import Window
from orchestration import anchors
from orchestration.governing import under_newest
from orchestration.recovery import recover
from orchestration.submission import submit_task
from storage.repositories.control import Control
from tests.integration.acting import Acting, acting
from tests.integration.approving import UNDECIDED, holds, overridable, parked, say, write_asked
from tests.integration.five_subtasks import CLAIM, write_claims

HOSTILE = "=HYPERLINK(\"http://x/?a\"&A1) <script>alert(1)</script> \u202e;@SUM(1+9)*cmd|' /C calc'!A0\nnext\x1b[31m"
DENIES = """
@id("BIG-001")
@effect("deny")
@reason("Nobody pays more than 9,000.00")
@owner("claims")
forbid (principal, action == Action::"arguments", resource)
when { context.stake_cents > 900000 };

@id("BIG-002")
@effect("halt")
@reason("More than 90,000.00 stops everything")
@owner("claims")
forbid (principal, action == Action::"arguments", resource)
when { context.stake_cents > 9000000 };
"""


class Told:
    """A report, and where it came from."""

    def __init__(self, stage: Acting, made: Made, files: dict[str, Path]) -> None:
        self.stage, self.made, self.files = stage, made, files
        document = json.loads(files["json"].read_text())
        self.rows: list[dict[str, Any]] = document["rows"]
        assert document["summary"] == made.summary.model_dump(mode="json")

    def of(self, kind: str, task_id: str | None = None) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["kind"] == kind and task_id in (None, row["task"])]


async def report(stage: Acting, folder: Path, under: Under | None = None, **window: Any) -> Told:
    files = {name: folder / f"r.{name}" for name in FORMATS}
    now = datetime.now(UTC) + timedelta(seconds=1)
    steps: list[tuple[int, int]] = []
    made = await make_report(
        stage.runtime.engine,
        Window(until=window.pop("until", now), **window),
        under or Under(None, {}),
        files,
        report_id="r-1",
        made_at=now,
        follow=lambda done, total: steps.append((done, total)),
    )
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1]
    return Told(stage, made, files)


@pytest.fixture
async def stage(settings: Settings, tmp_path: Path, dsn: str) -> AsyncIterator[Acting]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("audit_log", "audit_heads", "role_grants", "tasks"):
            connection.execute(f"TRUNCATE {table} CASCADE")
    catalog = write_claims(tmp_path, review=" && !context.approved")
    policies = catalog / "claim" / "policies.cedar"
    policies.write_text(policies.read_text() + DENIES)
    async with acting(settings, catalog) as made:
        yield made


async def _claim(stage: Acting, **changes: Any) -> str:
    kind = stage.runtime.catalog.task_type("claim")
    given = {**CLAIM, **changes}
    return (await submit_task(stage.runtime.engine, kind, given, principal="ann", lane=Lane.DIRECT)).task_id


async def _played(stage: Acting) -> dict[str, str]:
    """One task of each kind of end."""
    engine = stage.runtime.engine
    names = ("paid", "refused", "cancelled", "open")
    tasks = {name: await _claim(stage) for name in names}
    tasks |= {"denied": await _claim(stage, amount=9517.25), "halted": await _claim(stage, amount=95000)}
    for name, task_id in tasks.items():
        await stage.run(task_id)
        if name in ("paid", "refused"):
            await stage.answer(task_id, "clear")
            assert await stage.run(task_id) is TaskStatus.PARKED
    await inbox.approve(engine, tasks["paid"], principal="bob", reason="seen", action=None, digest=None)
    await inbox.refuse(engine, tasks["refused"], principal="cleo", reason=HOSTILE, digest=None)
    await control(engine, tasks["cancelled"], Control.CANCEL, principal="dan", reason="withdrawn")
    for name in ("paid", "refused", "cancelled"):
        await stage.run(tasks[name])
    return tasks


async def test_each_thing_is_told_once_where_the_chain_has_it(stage: Acting, tmp_path: Path) -> None:
    tasks = await _played(stage)
    told = await report(stage, tmp_path)
    assert {row["kind"] for row in told.rows} <= KINDS.keys()
    assert {row["chain"] for row in told.rows} == {"holds"}

    async with stage.runtime.engine.connect() as connection:
        entries = {(row.task_id, row.seq): row for row in await connection.execute(text("SELECT * FROM audit_log"))}
        verdicts = {(row.task_id, row.key): row for row in await connection.execute(text("SELECT * FROM verdicts"))}
        events = list(await connection.execute(text("SELECT * FROM events")))
    for row in told.rows:
        entry = entries[row["task"], row["seq"]]
        assert (entry.hash.hex(), entry.key, entry.event) == (row["hash"], row["key"], row["event"])
        assert entry.at == datetime.fromisoformat(row["at"])
        if row["kind"] == "verdict":
            assert row["ref"] in entry.body["rows"]["verdicts"]
    found = Counter((row["task"], row["ref"]) for row in told.of("verdict"))
    assert found == Counter(verdicts.keys())
    for row in told.of("verdict"):
        stored = verdicts[row["task"], row["ref"]]
        assert (row["what"], row["outcome"], row["policies"]) == (stored.hop, stored.effect, stored.policy_ids)
    told_as = {"approve.asked": "approval_asked", "approve.answered": "approval_answered"}
    for event, kind in told_as.items():
        happened = Counter((row.task_id, row.data["approval"]) for row in events if row.event == event)
        assert happened
        assert Counter((row["task"], row["ref"]) for row in told.of(kind)) == happened
    assert [(row["what"], row["by"], row["reason"]) for row in told.of("control")] == [("cancel", "dan", "withdrawn")]

    summary = told.made.summary
    assert summary.ended == {"denied": 3, "cancelled": 1, "done": 1}
    assert summary.decided_by_people == 2
    effects = Counter((row["task"], row["outcome"]) for row in told.of("verdict"))
    denied = {policy: sum(some.values()) for policy, some in summary.denials.by_policy.items()}
    assert denied == {"BIG-001": effects[tasks["denied"], "deny"], "BIG-002": effects[tasks["halted"], "halt"]}
    assert min(denied.values()) >= 1
    assert summary.denials.total == sum(denied.values())
    asked = summary.approvals
    assert (asked.approved, asked.refused, asked.open) == (3, 1, 1)
    assert asked.by_person == {"bob": {"approved": 3}, "cleo": {"refused": 1}}
    assert asked.closed >= 1
    assert asked.asked == asked.approved + asked.refused + asked.open + asked.closed
    assert asked.answered_in == 4
    assert summary.halts >= 1


async def test_the_csv_and_the_page_say_the_same(stage: Acting, tmp_path: Path) -> None:
    tasks = await _played(stage)
    told = await report(stage, tmp_path)
    with told.files["csv"].open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == list(COLUMNS)
    assert [(one["kind"], one["task"], one["seq"], one["entry_hash"]) for one in lines] == [
        (row["kind"], row["task"], str(row["seq"]), row["hash"]) for row in told.rows
    ]
    cells = [cell for line in lines for cell in line.values()]
    assert [cell for cell in cells if cell[:1] in "=+-@" and cell] == []
    refusal = next(one for one in lines if one["outcome"] == "refused")
    assert refusal["reason"].startswith("'=HYPERLINK")
    assert ";'@SUM" in refusal["reason"]
    assert all(cell.isprintable() for cell in cells)

    page = told.files["html"].read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert tasks["refused"] in page
    for outside in ("http:", "https:", "src=", "url(", "@import", "<link"):
        assert outside not in page.replace("http://x/?a", ""), outside
    assert [name for name, file in told.files.items() if "9517.25" in file.read_text(encoding="utf-8")] == []
    assert {oct(path.stat().st_mode & 0o777) for path in told.files.values()} == {"0o600"}
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["r.csv", "r.html", "r.json"]


def tamper(stage: Acting, statement: str, *values: Any) -> None:
    with psycopg.connect(stage.runtime.dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        assert connection.execute(statement, values).rowcount > 0


async def test_an_edited_row_does_not_verify(stage: Acting, tmp_path: Path) -> None:
    tasks = await _played(stage)
    task_id = tasks["denied"]
    tamper(stage, "UPDATE verdicts SET effect = 'allow' WHERE task_id = %s AND effect = 'deny'", task_id)
    told = await report(stage, tmp_path)
    chains = told.made.summary.chains
    assert not chains.hold
    assert (chains.broken, {one["task_id"] for one in chains.found}) == (1, {task_id})
    edited = [row for row in told.of("verdict", task_id) if "BIG-001" in row["policies"]]
    assert edited
    assert {row["chain"] for row in edited} == {"broken here"}
    assert {row["chain"] for row in told.rows if row["task"] != task_id} == {"holds"}
    assert {row["chain"] for row in told.rows} <= CHAIN_STATES.keys()
    assert "Not to be relied on" in told.files["html"].read_text()


INTAKE = "WHERE task_id = %s AND key = 'intake'"
EDITS = {
    "a verdict gone": (f"DELETE FROM verdicts {INTAKE}", "broken here"),
    "a verdict's words": (f"UPDATE verdicts SET body = '[]' {INTAKE}", "broken here"),
    "a verdict's policies": (f"UPDATE verdicts SET policy_ids = '7' {INTAKE}", "broken here"),
    "a verdict put in": (
        "INSERT INTO verdicts (task_id, key, hop, effect, policy_ids, policy_hash, body) "
        "VALUES (%s, 'forged', 'input', 'allow', '[]', '', '{}')",
        "outside",
    ),
    "an answer put in": (
        "INSERT INTO events (task_id, key, event, fence, data) "
        'VALUES (%s, \'x\', \'approve.answered\', 1, \'{"by": "eve", "status": "maybe"}\')',
        "outside",
    ),
    "a reason": ("UPDATE approvals SET reason = 'else' WHERE task_id = %s AND reason = 'seen'", "broken here"),
    "who answered": ("UPDATE approvals SET answered_by = 'eve' WHERE task_id = %s AND reason = 'seen'", "broken here"),
    "an event's data": ("UPDATE events SET data = '[1]' WHERE task_id = %s AND event = 'approve.asked'", "broken here"),
    "the end": ("UPDATE events SET data = '[]' WHERE task_id = %s AND event = 'report.done'", "broken"),
    "the beginning": ("UPDATE events SET data = '7' WHERE task_id = %s AND event = 'task.submitted'", "broken"),
    "the task": ("DELETE FROM tasks WHERE id = %s", "broken"),
    "the whole chain": ("DELETE FROM audit_log WHERE task_id = %s", "no chain"),
}


@pytest.mark.parametrize("what", EDITS)
async def test_whatever_was_changed_the_report_is_made_and_says_so(stage: Acting, tmp_path: Path, what: str) -> None:
    tasks = await _played(stage)
    statement, state = EDITS[what]
    tamper(stage, statement, tasks["paid"])
    told = await report(stage, tmp_path)
    assert state in {row["chain"] for row in told.rows if row["task"] == tasks["paid"]}
    assert {row["chain"] for row in told.rows if row["task"] != tasks["paid"]} == {"holds"}
    assert {one["task_id"] for one in told.made.summary.chains.found} == {tasks["paid"]}
    one_type = await report(stage, tmp_path, task_type="claim")
    assert not one_type.made.summary.chains.hold


async def test_it_stands_under_the_newest_anchor(stage: Acting, tmp_path: Path) -> None:
    first = await _claim(stage)
    await stage.run(first)
    home = tmp_path / "home"
    assert (await anchors.anchor(stage.runtime.engine, home, None)).header is not None
    later = await _claim(stage)
    await stage.run(later)
    told = await report(stage, tmp_path, under_newest(home))
    assert {row["anchored"] for row in told.rows if row["task"] == first} == {True}
    assert {row["anchored"] for row in told.rows if row["task"] == later} == {False}
    chains = told.made.summary.chains
    assert chains.anchor is not None
    assert 0 < chains.rows_anchored < len(told.rows)
    assert chains.hold
    gone = Under(under_newest(home).header, {**under_newest(home).heads, "gone": Head("gone", 3, b"x")})
    found = (await report(stage, tmp_path, gone)).made.summary.chains.found
    assert [(one["kind"], one["task_id"]) for one in found] == [("cut", "gone")]


async def test_a_row_belongs_to_the_time_of_its_entry(stage: Acting, tmp_path: Path) -> None:
    await _played(stage)
    whole = await report(stage, tmp_path)
    times = sorted({datetime.fromisoformat(row["at"]) for row in whole.rows})
    middle = times[len(times) // 2]
    before = await report(stage, tmp_path, until=middle)
    after = await report(stage, tmp_path, since=middle)
    assert before.rows
    assert after.rows
    assert sorted(map(str, [*before.rows, *after.rows])) == sorted(map(str, whole.rows))
    empty = await report(stage, tmp_path, since=datetime.now(UTC))
    assert empty.rows == []
    assert empty.made.summary.chains.tasks == 0
    assert "Nothing was denied." in empty.files["html"].read_text()
    assert len(empty.files["csv"].read_text().splitlines()) == 1
    assert (await report(stage, tmp_path, task_type="something_else")).rows == []
    assert (await report(stage, tmp_path, task_type="claim")).rows == whole.rows
    with pytest.raises(InputError, match="--since"):
        await report(stage, tmp_path, since=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(InputError, match="--by"):
        await report(stage, tmp_path, by="hour")


async def test_a_report_that_cannot_be_written_leaves_nothing(stage: Acting, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    now = datetime.now(UTC)
    given: dict[str, Any] = {"report_id": "r", "made_at": now, "follow": lambda done, total: None}
    for place in (tmp_path / "folder", Path("/proc/no/report.html")):
        with pytest.raises(InputError, match="--out"):
            await make_report(stage.runtime.engine, Window(until=now), Under(None, {}), {"html": place}, **given)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


async def test_what_was_only_tried_is_left_out_where_its_chain_says_so(stage: Acting, tmp_path: Path) -> None:
    source = await _claim(stage)
    await stage.run(source)
    await stage.answer(source, "clear")
    await stage.run(source)
    await inbox.approve(stage.runtime.engine, source, principal="bob", reason="seen", action=None, digest=None)
    await stage.run(source)
    forked = {
        execute: str((await fork_task(*_of(stage), Fork(source, "approve", "fraud", execute, "cleo")))["task_id"])
        for execute in (False, True)
    }
    for task_id in forked.values():
        assert await stage.run(task_id) is TaskStatus.PARKED
    told = await report(stage, tmp_path)
    assert {row["task"] for row in told.rows} == {source, forked[True]}
    assert told.made.summary.chains.tasks == 2
    # A row alone that says so hides nothing.
    await stage.execute("UPDATE tasks SET dry_run = true WHERE id = :id", source)
    await stage.execute("UPDATE tasks SET dry_run = true WHERE id = :id", forked[True])
    assert (await report(stage, tmp_path)).made.summary.chains.tasks == 2


def _of(stage: Acting) -> tuple[Any, Any]:
    return stage.runtime.engine, stage.runtime.catalog


SILENCE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "refuse": ("approval_expired", "denied", {}),
    "default": ("approval_defaulted", "uncovered", {"on_expiry": "default"}),
    "escalate": ("approval_escalated", "to head", {"chain": [{"role": "head", "after": "PT0.1S"}]}),
}


@pytest.mark.parametrize("on_expiry", SILENCE)
async def test_what_nobody_answered_is_told(settings: Settings, tmp_path: Path, on_expiry: str) -> None:
    catalog = write_asked(tmp_path, SILENCE[on_expiry][2], strategy=UNDECIDED, sla={"approval_deadline": "PT0.5S"})
    async with acting(settings, catalog) as stage:
        task_id = await stage.submit()
        await stage.run(task_id)
        pause = 0.2 if on_expiry == "escalate" else 0.6
        await stage.rows(f"SELECT pg_sleep({pause}) WHERE :id <> ''", task_id)
        await recover(stage.runtime.engine)
        if on_expiry != "escalate":
            await stage.run(task_id)
        told = await report(stage, tmp_path)
        kind, outcome, _ = SILENCE[on_expiry]
        assert [(row["outcome"], row["chain"]) for row in told.of(kind, task_id)] == [(outcome, "holds")]
        assert len(told.of("approval_asked", task_id)) == 1


async def test_verifying_agrees(stage: Acting, tmp_path: Path) -> None:
    tasks = await _played(stage)
    tamper(stage, "UPDATE events SET data = '[]' WHERE task_id = %s AND event = 'report.done'", tasks["paid"])
    told = await report(stage, tmp_path)
    found = await audit.verify(stage.runtime.engine, tmp_path / "home", None, None)
    assert len(found.problems) == told.made.summary.chains.problems
    assert found.entries == told.made.summary.chains.entries


async def test_several_answers_roles_and_an_override_are_told_each(settings: Settings, tmp_path: Path) -> None:
    policies = overridable("NO-001", 'context.action == "covered"')
    catalog = write_asked(tmp_path, {"quorum": 2, "of": 3}, policies=policies)
    async with acting(settings, catalog) as stage:
        await holds(stage, ("eve", "operator"))
        task_id = await parked(stage)
        await say(stage, task_id, "eve", "override")
        assert await stage.run(task_id) is TaskStatus.DONE
        told = await report(stage, tmp_path)
        assert {row["chain"] for row in told.rows if row["task"] in (task_id, "@roles")} == {"holds"}
        [override] = told.of("override", task_id)
        assert (override["by"], override["role"], override["policies"]) == ("eve", "operator", ["NO-001"])
        assert (override["reason"], override["event"]) == ("eve looked", "approve.overridden")
        effects = [row["outcome"] for row in told.of("verdict", task_id) if row["what"] == "arguments"]
        assert effects == ["deny", "allow (overridden)"]
        assert [row["outcome"] for row in told.of("role") if row["what"] == "operator"] == ["granted to eve"]
        page = told.files["html"].read_text()
        assert page.index("eve looked") < page.index('id="denial"')
        assert told.made.summary.approvals.overridden == 1


async def test_each_of_a_quorum_is_told(settings: Settings, tmp_path: Path) -> None:
    catalog = write_asked(tmp_path, {"quorum": 2, "of": 3})
    async with acting(settings, catalog) as stage:
        task_id = await parked(stage)
        for who, word in (("bob", "approve"), ("eve", "refuse"), ("carol", "approve")):
            await say(stage, task_id, who, word)
        told = await report(stage, tmp_path)
        given = [(row["by"], row["outcome"], row["decided"]) for row in told.of("approval_answered", task_id)]
        assert given == [("bob", "approved", ""), ("eve", "refused", ""), ("carol", "approved", "approved")]
        assert [row["reason"] for row in told.of("approval_answered", task_id)] == [
            "bob looked",
            "eve looked",
            "carol looked",
        ]
        tamper(stage, "UPDATE approval_answers SET reason = 'else' WHERE task_id = %s AND principal = 'eve'", task_id)
        again = await report(stage, tmp_path)
        states = {row["by"]: row["chain"] for row in again.of("approval_answered", task_id)}
        assert states == {"bob": "broken", "eve": "broken here", "carol": "broken"}
