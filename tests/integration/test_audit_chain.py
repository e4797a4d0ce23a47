"""What is changed behind the platform's back is found: in the chain, its events, the rows, and against an anchor."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from control_plane.cli.main import main
from control_plane.services import audit
from control_plane.services.evidence import export, verify_file
from control_plane.services.forks import Fork, fork_task
from control_plane.services.inbox import approve
from domain.audit import STATED
from domain.errors import LeaseLost, NotFound
from domain.quotes import Quotes
from domain.task import Lane, TaskStatus
from orchestration import anchors
from orchestration.direct import DIRECT
from orchestration.recovery import set_back
from orchestration.run import Runtime, make_context, run_task
from orchestration.submission import submit_task
from storage.audit import Chain
from storage.leases import claim_one
from storage.repositories import erasing, erasure, outcomes
from tasks.intake import intake
from tests.integration.test_lanes import CLEAR, LARGE


async def play(runtime: Runtime, payload: dict[str, Any] = CLEAR) -> str:
    kind = runtime.catalog.task_type("credit_review")
    submitted = await submit_task(runtime.engine, kind, payload, principal="ann", lane=Lane.DIRECT)
    await go_on(runtime, submitted.task_id)
    return submitted.task_id


async def go_on(runtime: Runtime, task_id: str) -> TaskStatus:
    claim = await claim_one(runtime.engine, "test", task_id, seconds=60)
    assert claim is not None
    return await run_task(runtime, claim.lease, DIRECT, runtime.graphs())


@pytest.fixture
async def parts(runtime: Runtime, tmp_path: Path) -> tuple[Runtime, Path]:
    """A database with other tasks in it, and a state folder."""
    with psycopg.connect(runtime.dsn, autocommit=True) as connection, unguarded(connection):
        connection.execute("DELETE FROM audit_log")
        connection.execute("DELETE FROM audit_heads")
        connection.execute("TRUNCATE tasks CASCADE")
        connection.execute("DELETE FROM memories")
    await play(runtime)
    return runtime, tmp_path


@contextmanager
def unguarded(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """What somebody can do who owns the database: switch the triggers off."""
    connection.execute("SET session_replication_role = replica")
    yield connection
    connection.execute("SET session_replication_role = origin")


def tamper(runtime: Runtime, statement: str, *values: Any) -> None:
    with psycopg.connect(runtime.dsn, autocommit=True) as connection, unguarded(connection):
        assert connection.execute(statement, values).rowcount > 0


async def kinds(runtime: Runtime, home: Path, task_id: str | None = None) -> list[tuple[str, str, int | None]]:
    found = await audit.verify(runtime.engine, home, task_id, None)
    return [(one.kind, one.task_id, one.seq) for one in found.problems]


async def test_what_nobody_touched_holds(parts: tuple[Runtime, Path]) -> None:
    runtime, home = parts
    task_id = await play(runtime, LARGE)
    await approve(runtime.engine, task_id, principal="bob", reason="fine", action=None, digest=None)
    assert await go_on(runtime, task_id) is TaskStatus.DONE
    row = {"task_id": task_id, "label": "good", "right_action": "approve", "recorded_by": "cleo"}
    for label in ("good", "good", "bad", "good"):
        async with runtime.engine.begin() as connection:
            await outcomes.record(connection, [{**row, "label": label}])
    await anchors.anchor(runtime.engine, home, None)
    found = await audit.verify(runtime.engine, home, None, None)
    assert found.problems == []
    assert found.tasks == 2
    assert found.anchor is not None
    events = [one["event"] for one in (await export(runtime.engine, home, task_id, None))["chain"]]
    assert events[0] == "task.submitted"
    assert events[-3:] == ["outcome.recorded"] * 3
    assert {"approve.asked", "approve.answered", "approve.approved", "execute.done", "report.done"} <= set(events)


@pytest.mark.parametrize("stage", ["negotiate", "guard", "approve", "execute"])
async def test_a_fork_has_a_chain_of_its_own(parts: tuple[Runtime, Path], stage: str) -> None:
    runtime, home = parts
    source = await play(runtime, LARGE)
    await approve(runtime.engine, source, principal="bob", reason="fine", action=None, digest=None)
    await go_on(runtime, source)
    made = await fork_task(runtime.engine, runtime.catalog, Fork(source, stage, None, False, "cleo"))
    assert await kinds(runtime, home) == []
    await go_on(runtime, made["task_id"])
    assert await kinds(runtime, home) == []
    tamper(runtime, "UPDATE verdicts SET effect = 'deny' WHERE task_id = %s AND key = 'intake'", made["task_id"])
    assert await kinds(runtime, home) == [("edited", made["task_id"], 1)]


EDITS = {
    "the log": ("UPDATE audit_log SET actor = 'eve' WHERE task_id = %s AND seq = 3", "edited"),
    "the log's rows": ("UPDATE audit_log SET body = '{}' WHERE task_id = %s AND seq = 3", "edited"),
    "the middle": ("DELETE FROM audit_log WHERE task_id = %s AND seq = 3", "missing"),
    "the tail": ("DELETE FROM audit_log WHERE task_id = %s AND seq > 5", "head"),
    "the whole chain": ("DELETE FROM audit_log WHERE task_id = %s", "missing"),
    "the order": ("UPDATE audit_log SET seq = 1000 - seq WHERE task_id = %s", "reordered"),
    "the head": ("DELETE FROM audit_heads WHERE task_id = %s", "head"),
    "an event": (
        "UPDATE events SET data = data || '{\"effect\": \"x\"}' WHERE task_id = %s AND key = 'intake'",
        "edited",
    ),
    "an event's name": ("UPDATE events SET event = 'intake.fine' WHERE task_id = %s AND key = 'intake'", "edited"),
    "an event gone": ("DELETE FROM events WHERE task_id = %s AND key = 'intake'", "missing"),
    "a forged event": (
        "INSERT INTO events (task_id, key, event, fence, data) VALUES (%s, 'x', 'approve.approved', 1, '{}')",
        "outside",
    ),
    "a decision": ("UPDATE decisions SET margin = 0.99 WHERE task_id = %s", "edited"),
    "a decision's body": ("UPDATE decisions SET body = body || '{\"rounds\": 9}' WHERE task_id = %s", "edited"),
    "a proposal": ("UPDATE proposals SET confidence = 0.01 WHERE task_id = %s AND round = 0", "edited"),
    "a verdict": ("UPDATE verdicts SET effect = 'deny' WHERE task_id = %s AND key = 'intake'", "edited"),
    "a verdict gone": ("DELETE FROM verdicts WHERE task_id = %s AND key = 'intake'", "missing"),
    "a memory": ("UPDATE memories SET text = 'else' WHERE task_id = %s", "edited"),
    "a forged outcome": (
        "INSERT INTO outcomes (task_id, label, right_action, recorded_by) VALUES (%s, 'good', 'approve', 'eve')",
        "outside",
    ),
    "the payload": ("UPDATE tasks SET payload = payload || '{\"Amount\": 1}' WHERE id = %s", "edited"),
    "the plan": ('UPDATE tasks SET plan = plan || \'{"goal": "else"}\' WHERE id = %s', "edited"),
    "who submitted": ("UPDATE tasks SET principal = 'eve' WHERE id = %s", "edited"),
    "the reason": ("UPDATE tasks SET reason = 'else' WHERE id = %s", "edited"),
    "the summary": ('UPDATE tasks SET summary = summary || \'{"status": "x"}\' WHERE id = %s', "edited"),
    "whether it was tried out": ("UPDATE tasks SET dry_run = NOT dry_run WHERE id = %s", "edited"),
    "what it was forked from": ("UPDATE tasks SET forked_from = 'x' WHERE id = %s", "edited"),
    "when it was submitted": ("UPDATE tasks SET created_at = created_at - interval '1 s' WHERE id = %s", "edited"),
    "when it ended": ("UPDATE tasks SET ended_at = ended_at + interval '1 s' WHERE id = %s", "edited"),
    "its deadline": ("UPDATE tasks SET deadline_at = deadline_at + interval '1 s' WHERE id = %s", "edited"),
    "the end taken back": ("UPDATE tasks SET status = 'parked' WHERE id = %s", "edited"),
    "when an event was": ("UPDATE events SET at = at + interval '1 ms' WHERE task_id = %s", "edited"),
    "when it was decided": ("UPDATE decisions SET at = at + interval '1 ms' WHERE task_id = %s", "edited"),
    "when it was recorded": ("UPDATE records SET at = at + interval '1 ms' WHERE task_id = %s", "edited"),
    "how often it was tried": ("UPDATE actions SET attempts = 9 WHERE task_id = %s", "edited"),
    "when it was sent": ("UPDATE actions SET sent_at = sent_at + interval '1 ms' WHERE task_id = %s", "edited"),
    "what a panel saw": ("UPDATE snapshots SET contexts = '[]' WHERE task_id = %s", "edited"),
    "what a panel saw gone": ("DELETE FROM snapshots WHERE task_id = %s", "missing"),
    "a forged panel": (
        "INSERT INTO snapshots (task_id, subtask_id, round, hash, contexts) VALUES (%s, 'x', 7, 'h', '[]')",
        "outside",
    ),
    "a memory's data": ('UPDATE memories SET data = data || \'{"action": "x"}\' WHERE task_id = %s', "edited"),
    "since when it is known": ("UPDATE memories SET known_at = now() WHERE task_id = %s", "edited"),
    "the answer": ("UPDATE tasks SET answer = 'decline' WHERE id = %s", "edited"),
    "a subtask's status": ("UPDATE subtasks SET status = 'denied' WHERE task_id = %s", "edited"),
    "a subtask's action": ("UPDATE subtasks SET action = 'decline' WHERE task_id = %s", "edited"),
    "a subtask's reason": ("UPDATE subtasks SET reason = 'else' WHERE task_id = %s", "edited"),
    "a forged subtask": ("INSERT INTO subtasks (task_id, subtask_id, status) VALUES (%s, 'x', 'done')", "outside"),
    "a record": ("UPDATE records SET action = 'decline' WHERE task_id = %s", "edited"),
    "a record's arguments": ("UPDATE records SET arguments = '{\"a\": 1}' WHERE task_id = %s", "edited"),
    "a record gone": ("DELETE FROM records WHERE task_id = %s", "missing"),
    "a forged record": (
        "INSERT INTO records (idempotency_key, task_id, action, arguments) VALUES ('x', %s, 'approve', '{}')",
        "outside",
    ),
    "an action gone": ("DELETE FROM actions WHERE task_id = %s", "missing"),
    "an action": ('UPDATE actions SET response = \'{"status": "other"}\' WHERE task_id = %s', "edited"),
}


@pytest.mark.parametrize("what", EDITS)
async def test_what_was_changed_is_found(parts: tuple[Runtime, Path], what: str) -> None:
    runtime, home = parts
    task_id = await play(runtime)
    statement, kind = EDITS[what]
    tamper(runtime, statement, task_id)
    found = await kinds(runtime, home)
    assert kind in {one for one, _, _ in found}
    assert {task for _, task, _ in found} == {task_id}


QUARANTINED = {
    "an action": 'UPDATE actions SET response = \'{"status": "other"}\' WHERE task_id = %s',
    "a record": "UPDATE records SET action = 'decline' WHERE task_id = %s",
    "a subtask": "UPDATE subtasks SET status = 'denied' WHERE task_id = %s",
    "the reason": "UPDATE tasks SET reason = 'else' WHERE id = %s",
}


@pytest.mark.parametrize("what", QUARANTINED)
async def test_what_a_quarantined_task_did_is_spoken_for(
    parts: tuple[Runtime, Path], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    runtime, home = parts
    task_id = await _quarantined(runtime, monkeypatch)
    assert await kinds(runtime, home) == []
    tamper(runtime, QUARANTINED[what], task_id)
    assert [(one, task) for one, task, _ in await kinds(runtime, home)] == [("edited", task_id)]


async def _quarantined(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> str:
    kind = runtime.catalog.task_type("credit_review")
    task_id = (await submit_task(runtime.engine, kind, CLEAR, principal="ann", lane=Lane.DIRECT)).task_id
    monkeypatch.setattr("orchestration.recovery.MAX_RUN_FAILURES", 1)
    monkeypatch.setattr("orchestration.stages.report", _broken)
    claim = await claim_one(runtime.engine, "test", task_id, seconds=60)
    assert claim is not None
    with pytest.raises(RuntimeError) as failure:
        await run_task(runtime, claim.lease, DIRECT, runtime.graphs())
    await set_back(runtime.engine, claim.lease, failure.value)
    async with runtime.engine.connect() as connection:
        status = await connection.scalar(text("SELECT status FROM tasks WHERE id = :id"), {"id": task_id})
    assert status == "quarantined"
    return task_id


async def _broken(*given: Any) -> Any:
    raise RuntimeError("it cannot be told")


def _cut(runtime: Runtime, task_id: str, last: int) -> None:
    """As somebody would who knows the chain: entries, their events and the head fit afterwards."""
    rest = (
        "DELETE FROM events e USING audit_log l "
        "WHERE l.task_id = %s AND l.seq > %s AND (e.task_id, e.key) = (l.task_id, l.key)"
    )
    tamper(runtime, rest, task_id, last)
    tamper(runtime, "DELETE FROM audit_log WHERE task_id = %s AND seq > %s", task_id, last)
    head = (
        "UPDATE audit_heads h SET seq = l.seq, hash = l.hash FROM audit_log l "
        "WHERE l.task_id = %s AND l.seq = %s AND h.task_id = l.task_id"
    )
    tamper(runtime, head, task_id, last)


async def test_a_cut_tail_is_found_with_an_anchor(parts: tuple[Runtime, Path]) -> None:
    runtime, home = parts
    task_id = await play(runtime)
    made = await anchors.anchor(runtime.engine, home, None)
    assert made.header is not None
    assert made.header.count == 2
    with psycopg.connect(runtime.dsn) as connection:
        last = connection.execute("SELECT max(seq) FROM audit_log WHERE task_id = %s", (task_id,)).fetchone()
    assert last is not None
    _cut(runtime, task_id, last[0] - 1)
    assert ("cut", task_id, last[0]) in await kinds(runtime, home)
    assert ("cut", task_id, last[0]) not in await kinds(runtime, home / "elsewhere")
    # It is not anchored over, either.
    again = await anchors.anchor(runtime.engine, home, None)
    assert again.header is None
    assert [(one.kind, one.task_id) for one in again.problems] == [("cut", task_id)]


async def test_a_removed_task_is_found_with_an_anchor(parts: tuple[Runtime, Path]) -> None:
    runtime, home = parts
    task_id = await play(runtime)
    await anchors.anchor(runtime.engine, home, None)
    tables = ("audit_log", "audit_heads", "events", "decisions", "proposals", "verdicts", "actions", "memories")
    for table in (*tables, "subtasks", "snapshots", "telemetry", "records"):
        tamper(runtime, f"DELETE FROM {table} WHERE task_id = %s", task_id)
    tamper(runtime, "DELETE FROM tasks WHERE id = %s", task_id)
    assert [(kind, task) for kind, task, _ in await kinds(runtime, home / "elsewhere")] == []
    assert [(kind, task) for kind, task, _ in await kinds(runtime, home)] == [("cut", task_id)]
    assert [kind for kind, _, _ in await kinds(runtime, home, task_id)] == ["cut"]
    with pytest.raises(NotFound):
        await kinds(runtime, home / "elsewhere", task_id)


async def test_an_edited_anchor_is_found(parts: tuple[Runtime, Path]) -> None:
    runtime, home = parts
    made = await anchors.anchor(runtime.engine, home, None)
    await play(runtime)
    await anchors.anchor(runtime.engine, home, None)
    lines = made.path.read_text().splitlines(keepends=True)
    assert len(lines) == 2
    for broken in (lines[1:], [lines[1], lines[0]], [lines[0], lines[1].replace('"count":2', '"count":3')], ["{}\n"]):
        made.path.write_text("".join(broken))
        assert (await kinds(runtime, home))[0][0] == "anchor"


MARKS = (
    "UPDATE decisions SET action = 'refuse', margin = 0.9, body = '{\"erased\": null}' WHERE task_id = %s",
    "UPDATE verdicts SET effect = 'deny', body = '{\"erased\": true}' WHERE task_id = %s",
    'UPDATE events SET data = \'{"erased": null, "by": "mallory"}\' WHERE task_id = %s AND event = \'plan.made\'',
    "UPDATE events SET data = '{\"erased\": null}' WHERE task_id = %s AND event = 'report.done'",
    'UPDATE tasks SET payload = \'{"erased": null, "Amount": 1}\' WHERE id = %s',
    "UPDATE actions SET executor = 'other', response = '{\"erased\": 1}' WHERE task_id = %s",
    "UPDATE subtasks SET status = 'failed', reason = 'erased:x' WHERE task_id = %s",
    "UPDATE proposals SET struck = 'erased:' || repeat('0', 64) WHERE task_id = %s",
)


@pytest.mark.parametrize("statement", MARKS)
async def test_a_mark_that_no_erasure_made_is_an_edit(parts: tuple[Runtime, Path], statement: str) -> None:
    runtime, home = parts
    task_id = await play(runtime)
    tamper(runtime, statement, task_id)
    assert {kind for kind, _, _ in await kinds(runtime, home)} == {"edited"}


async def test_a_mark_with_the_right_hash_counts_only_where_an_erasure_says_so(parts: tuple[Runtime, Path]) -> None:
    runtime, home = parts
    task_id = await play(runtime)
    async with runtime.engine.begin() as connection:
        changes = await erasure.own_changes(connection, [task_id], Quotes(frozenset()))
        await erasing.put(connection, changes)
    assert {kind for kind, _, _ in await kinds(runtime, home)} == {"edited"}
    async with runtime.engine.begin() as connection:
        await erasing.tell(connection, changes, {"by": "dpo"}, "dpo", [task_id])
    found = await audit.verify(runtime.engine, home, None, None)
    assert found.problems == []
    assert found.erased > 10
    before: set[str] = set()
    # What was left is not to be changed, either.
    for statement in (
        "UPDATE proposals SET confidence = 0.01 WHERE task_id = %s",
        "UPDATE decisions SET body = body || '{\"rounds\": 7}' WHERE task_id = %s",
        "UPDATE tasks SET status = 'failed' WHERE id = %s",
        "UPDATE tasks SET payload = payload || '{\"Amount\": 1}' WHERE id = %s",
    ):
        tamper(runtime, statement, task_id)
        now = {problem.detail for problem in (await audit.verify(runtime.engine, home, None, None)).problems}
        assert now > before, statement
        before = now


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_log SET seq = seq", "DELETE FROM audit_log", "TRUNCATE audit_log", "TRUNCATE audit_heads"],
)
async def test_the_chain_is_only_appended_to(parts: tuple[Runtime, Path], statement: str) -> None:
    runtime, _ = parts
    with (
        psycopg.connect(runtime.dsn) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="only ever appended"),
    ):
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_heads (task_id, seq, hash) VALUES ('x', 1, '')",
        "UPDATE audit_heads SET seq = seq + 1",
        "DELETE FROM audit_log",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
    ],
)
async def test_the_writing_role_may_only_append(parts: tuple[Runtime, Path], statement: str) -> None:
    runtime, _ = parts
    append = 'SELECT parley_audit_append(\'t\', 1, \'a\', \'[{"event": "e", "key": "k", "body_hash": "00"}]\', null)'
    with psycopg.connect(runtime.dsn) as connection:
        connection.execute("SET ROLE parley_writer")
        assert connection.execute(append).fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)
        connection.rollback()


async def test_a_repeated_stage_appends_once(parts: tuple[Runtime, Path]) -> None:
    runtime, home = parts
    kind = runtime.catalog.task_type("credit_review")
    task_id = (await submit_task(runtime.engine, kind, CLEAR, principal="ann", lane=Lane.DIRECT)).task_id
    claim = await claim_one(runtime.engine, "test", task_id, seconds=60)
    assert claim is not None
    context = await make_context(runtime, claim.lease)
    await intake(context)
    await intake(context)
    entries = (await export(runtime.engine, home, task_id, None))["chain"]
    assert [one["event"] for one in entries] == ["task.submitted", "intake.accepted"]
    async with runtime.engine.begin() as connection:
        await connection.execute(text("UPDATE tasks SET fence = fence + 1 WHERE id = :id"), {"id": task_id})
    with pytest.raises(LeaseLost):
        await intake(context)
    assert await kinds(runtime, home) == []


async def test_evidence_is_verified_by_itself(parts: tuple[Runtime, Path]) -> None:
    runtime, home = parts
    task_id = await play(runtime)
    for _ in range(4):
        await play(runtime)
    made = await anchors.anchor(runtime.engine, home, None)
    assert made.header is not None
    file = home / "evidence.json"
    told = json.dumps(await export(runtime.engine, home, task_id, None))
    file.write_text(told)
    found = verify_file(file, made.header.key)
    assert found.problems == []
    assert found.anchor == made.header.at
    assert [one.kind for one in verify_file(file, "00" * 32).problems] == ["anchor"]
    evidence = json.loads(told)
    assert evidence["plan"]["subtasks"]
    for change in (
        lambda one: one["rows"]["proposals"][0].update(confidence=0.01),
        lambda one: one["chain"].pop(),
        lambda one: one["chain"][2].update(actor="eve"),
        lambda one: one["anchor"]["proof"].pop(),
        lambda one: one["anchor"]["header"].update(count=7),
        lambda one: one["events"].pop(3),
        lambda one: one["task"].update(answer="decline"),
    ):
        changed = json.loads(told)
        change(changed)
        file.write_text(json.dumps(changed))
        assert not verify_file(file, None).holds


async def test_the_commands(
    parts: tuple[Runtime, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime, home = parts
    task_id = await play(runtime)
    monkeypatch.setenv("DATABASE_URL", runtime.dsn)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PARLEY_STATE", str(home))
    file = home / "evidence.json"

    async def run(*arguments: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, arguments)
        return code, capsys.readouterr().out

    assert (await run("audit", "anchor"))[0] == 0
    assert (await run("audit", "export", task_id, "--out", str(file)))[0] == 0
    assert (await run("audit", "verify", "--file", str(file)))[0] == 0
    code, told = await run("audit", "verify")
    assert code == 0
    assert "2 tasks" in told
    tamper(runtime, "DELETE FROM audit_log WHERE task_id = %s AND seq = 3", task_id)
    code, told = await run("audit", "verify", task_id, "--json")
    assert code == 1
    assert {"task_id": task_id, "seq": 4, "kind": "missing", "detail": "entries 3 to 3 are gone"} in json.loads(told)[
        "problems"
    ]
    assert (await run("audit", "verify"))[0] == 1


OLDER = frozenset({"decisions", "proposals", "verdicts", "approvals", "answers", "given", "actions", "ends", "records"})


async def test_what_an_earlier_release_wrote_is_judged_by_what_it_spoke_of(
    parts: tuple[Runtime, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, home = parts
    known = {kind: how for kind, how in STATED.items() if kind in OLDER | {"memories", "outcomes"}}
    spoken = Chain.state

    def older(chain: Chain, kind: str, row: Any) -> None:
        if kind in known:
            spoken(chain, kind, row)

    with monkeypatch.context() as patch:
        patch.setattr(Chain, "state", older)
        task_id = await play(runtime, LARGE)
        await approve(runtime.engine, task_id, principal="bob", reason="fine", action=None, digest=None)
        await go_on(runtime, task_id)
        made = await fork_task(runtime.engine, runtime.catalog, Fork(task_id, "execute", None, False, "cleo"))
        await go_on(runtime, made["task_id"])
    assert await kinds(runtime, home) == []
    # An outcome that is recorded since then speaks for the memory anew.
    row = {"task_id": task_id, "label": "good", "right_action": "approve", "recorded_by": "cleo"}
    async with runtime.engine.begin() as connection:
        await outcomes.record(connection, [row])
    assert await kinds(runtime, home) == []
    tamper(runtime, "UPDATE tasks SET status = 'failed' WHERE id = %s", task_id)
    assert {(kind, task) for kind, task, _ in await kinds(runtime, home)} == {("edited", task_id)}


async def test_a_quarantined_task_is_not_made_done(
    parts: tuple[Runtime, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, home = parts
    task_id = await _quarantined(runtime, monkeypatch)
    tamper(runtime, "UPDATE tasks SET status = 'done', answer = 'approve', reason = NULL WHERE id = %s", task_id)
    assert {(kind, task) for kind, task, _ in await kinds(runtime, home)} == {("edited", task_id)}


async def test_a_task_that_has_not_ended_is_not_made_so(parts: tuple[Runtime, Path]) -> None:
    runtime, home = parts
    task_id = await play(runtime, LARGE)
    assert await kinds(runtime, home) == []
    for status, problems in (("done", {("edited", task_id)}), ("running", set())):
        tamper(runtime, "UPDATE tasks SET status = %s WHERE id = %s", status, task_id)
        assert {(kind, task) for kind, task, _ in await kinds(runtime, home)} == problems
    tamper(runtime, "UPDATE approvals SET answered_by = 'eve', option = 'approve' WHERE task_id = %s", task_id)
    assert [kind for kind, _, _ in await kinds(runtime, home)] == ["outside"]
