"""What an erasure does, and does not, in rows of other people: their data, their running tasks, their chains."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import LogCreate
from prefect.types._datetime import now
from sqlalchemy import Text, func, text

from control_plane.services import audit, outcomes
from control_plane.services.erasure import Erased, Wanted, erase_subject
from control_plane.services.forks import Fork, fork_task
from control_plane.services.listing import explain_task, show_task
from control_plane.services.replay import replay_task
from deployments.postgres import PostgresServer
from domain.audit import STATED
from domain.errors import InputError, NotFound
from domain.settings import Settings
from domain.task import TaskStatus
from orchestration.run import Runtime
from orchestration.wiring import open_runtime
from storage.audit import write_event
from storage.event_data import KEPT
from storage.personal import PLACES
from storage.repositories import erasing
from storage.repositories.chains import ended_rows, stated_rows
from storage.schema import metadata
from tests.integration.named_claims import answer, finish, go_on, status, submit, write_named_claims
from tests.integration.test_erase import found_in_database

WHO = "Zyxwold Quorbin"

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.fixture
def given(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"catalog": write_named_claims(tmp_path)})


@pytest.fixture
async def claims(given: Settings) -> AsyncIterator[Runtime]:
    async with open_runtime(given) as runtime:
        with psycopg.connect(given.database_url, autocommit=True) as connection:
            _empty(connection)
        yield runtime


def _empty(connection: psycopg.Connection[Any]) -> None:
    """The module's tests share a database, and nobody else's."""
    names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
    connection.execute("SET session_replication_role = replica")
    connection.execute(f"TRUNCATE {names} CASCADE")  # type: ignore[arg-type]


async def _erase(claims: Runtime, given: Settings, subject: str, **more: Any) -> Erased:
    wanted = Wanted(**{"subject": subject, "reason": "asked", "principal": "dpo", "dry_run": False, **more})
    return await erase_subject(claims.engine, claims.catalog, given, wanted)


async def _holds(claims: Runtime, given: Settings) -> bool:
    found = await audit.verify(claims.engine, given.home, None, None)
    assert [one.detail for one in found.problems] == []
    return True


def _rows_of(dsn: str, task_id: str) -> dict[str, list[str]]:
    """Every row of a task, in every table, as text."""
    found = {}
    with psycopg.connect(dsn) as connection:
        for table in metadata.sorted_tables:
            column = "id" if table.name == "tasks" else "task_id"
            if column in table.columns:
                sql = f'SELECT to_jsonb(t)::text FROM "{table.name}" t WHERE {column} = %s ORDER BY 1'
                found[table.name] = [row[0] for row in connection.execute(sql, (task_id,))]  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("remark", ["submitted", "done", "clear", "approved", "Oberpfaffenhofen", "nothing to say"])
async def test_a_running_task_of_somebody_with_the_same_words_stays_as_it_is(
    claims: Runtime, given: Settings, dsn: str, remark: str
) -> None:
    gone = await finish(claims, name=WHO, remark=remark)
    waiting, ended = await submit(claims, remark=remark), await finish(claims, remark=remark)
    await go_on(claims, waiting)
    assert await status(claims, waiting) == TaskStatus.PARKED
    before = {one: _rows_of(dsn, one) for one in (waiting, ended)}
    await _erase(claims, given, WHO)
    for one, rows in before.items():
        after = _rows_of(dsn, one)
        for table in ("tasks", "subtasks", "proposals", "decisions", "verdicts", "approvals", "approval_answers"):
            assert after[table] == rows[table]
    assert (await show_task(claims.engine, gone))["task"]["status"] == TaskStatus.DONE
    while await status(claims, waiting) == TaskStatus.PARKED:
        await answer(claims, waiting, "fine")
        await go_on(claims, waiting)
    assert await status(claims, waiting) == TaskStatus.DONE
    assert await _holds(claims, given)
    for one in (waiting, ended):
        assert (await replay_task(claims.engine, claims.catalog, one))["differs"] == []


async def test_a_number_of_four_digits_is_looked_for_nowhere_else(claims: Runtime, given: Settings, dsn: str) -> None:
    await finish(claims, name="4711", street="s", remark="r")
    other = await finish(claims)
    before = _rows_of(dsn, other)
    told = await _erase(claims, given, "4711")
    assert "3 texts are too common" in told.notes[-2]
    after = _rows_of(dsn, other)
    # Its panel had recalled the person's episode.
    changed = {"snapshots", "events", "audit_log", "audit_heads"}
    assert {table for table, rows in before.items() if rows != after[table]} == changed
    hashes = [sorted(json.loads(row)["hash"] for row in rows["snapshots"]) for rows in (before, after)]
    assert hashes[0] == hashes[1]
    assert await _holds(claims, given)


QUOTING = f"brother of {WHO}, as he says"


async def _quoting_task(claims: Runtime) -> str:
    """An ended task of somebody else of which every free text of every table quotes the person; its chain says so."""
    source, made = await finish(claims), "11111111-2222-4333-8444-555555555555"
    async with claims.engine.begin() as connection:
        for table in ("tasks", "subtasks", "snapshots", "proposals", "telemetry", "decisions", "verdicts", "approvals",
                      "approval_answers", "actions", "records", "memories", "notices"):  # fmt: skip
            await _copy(connection, table, source, made)
        rows = await stated_rows(connection, made)
        request = await connection.scalar(text("SELECT request_hash FROM tasks WHERE id = :id"), {"id": made})
        told = {"stage": "x", "dry_run": False, "by": "ann", "from": source, "why": QUOTING, "request_hash": request}
        by: Any = {"fence": 1, "actor": "ann"}
        await write_event(connection, made, "fork", "fork.created", told, **by, rows=rows)
        ended = await ended_rows(connection, made)
        row = next(row for kind, row in ended if kind == "ended")
        end = {"status": row["status"], "answer": row["answer"], "reason": row["reason"]}
        await write_event(connection, made, "report", "report.done", end, **by, rows=ended)
    return made


async def _copy(connection: Any, name: str, source: str, made: str) -> None:
    table = metadata.tables[name]
    column = table.c.id if name == "tasks" else table.c.task_id
    places = {place.column: place for place in PLACES if place.table is table and not place.own}
    for number, row in enumerate((await connection.execute(table.select().where(column == source))).mappings().all()):
        new = {key: value for key, value in row.items() if not (name == "memories" and key == "seq")}
        new[column.name] = made
        for key in ("id", "approval_id", "idempotency_key", "key"):
            if key in new and name != "tasks" and name not in ("verdicts", "proposals"):
                new[key] = f"{new[key]} again"
        new.update({key: _quoted(table.c[key], place.free, row[key]) for key, place in places.items()})
        if name == "memories":
            new["known_at"] = None
        if name == "tasks":
            new.update(idempotency_key=f"again {number}", forked_from=None, created_at=func.now(), ended_at=func.now())
        await connection.execute(table.insert().values(**new))


def _quoted(column: Any, free: frozenset[str] | None, was: Any) -> Any:
    if isinstance(column.type, Text):
        return QUOTING
    if isinstance(was, list):
        return [{**one, "episodes": [{"id": "m", "text": QUOTING}]} for one in was]
    if free is None:
        return {"told": [QUOTING]}
    name = min({"reasons", "reason", "arguments"} & free, default="reason")
    told = {"reasons": [QUOTING], "reason": QUOTING, "arguments": {"a": QUOTING}}[name]
    return {**(was or {}), name: told} if free else was


async def test_a_quote_in_any_column_of_another_task_goes_and_its_chain_holds(
    claims: Runtime, given: Settings, dsn: str
) -> None:
    own, other = await finish(claims, name=WHO), await _quoting_task(claims)
    assert await _holds(claims, given)
    quoted_in = found_in_database(dsn, (WHO,))
    stated = {(how.table, name) for how in STATED.values() for name in how.hashed}
    free = {(place.table.name, place.column) for place in PLACES if not place.own and place.free != frozenset()}
    assert {".".join(one) for one in stated & free} <= quoted_in
    tried = await _erase(claims, given, WHO, dry_run=True)
    assert found_in_database(dsn, (WHO,)) == quoted_in
    told = await _erase(claims, given, WHO)
    assert {one["id"] for one in told.tasks} == {own}
    drop = ("Prefect", "stored", "reports")
    assert _but(tried.places, drop) == _but(told.places, drop)
    assert found_in_database(dsn, (WHO,)) == set()
    assert await _holds(claims, given)
    with psycopg.connect(dsn, autocommit=True) as connection:
        [[reason]] = connection.execute("SELECT reason FROM approvals WHERE task_id = %s", (other,)).fetchall()
        assert reason.startswith("erased:")
        assert len(reason) == len("erased:") + 64
        for statement in (
            "UPDATE approvals SET reason = 'erased:' || repeat('a', 64) WHERE task_id = %s",
            "UPDATE decisions SET body = body || '{\"rounds\": 9}' WHERE task_id = %s",
        ):
            connection.execute(statement, (other,))
            assert {one.kind for one in (await audit.verify(claims.engine, given.home, other, None)).problems} == {
                "edited"
            }


def _but(places: dict[str, int], beginnings: tuple[str, ...]) -> dict[str, int]:
    return {name: number for name, number in places.items() if not name.startswith(beginnings)}


async def test_what_reads_a_task_that_quoted_somebody_says_so(claims: Runtime, given: Settings) -> None:
    other = await finish(claims)
    with psycopg.connect(given.database_url, autocommit=True) as connection:
        for table in ("proposals", "decisions"):
            sql = f"UPDATE {table} SET body = jsonb_set(body, '{{reasons}}', %s) WHERE task_id = %s"
            connection.execute(sql, (json.dumps([QUOTING]), other))  # type: ignore[arg-type]
    await finish(claims, name=WHO)
    await _erase(claims, given, WHO)
    again = await replay_task(claims.engine, claims.catalog, other)
    went = {one["stage"]: one["outcome"] for one in again["stages"]}
    assert went["negotiate/coverage"] == went["guard/proposal"] == "not comparable"
    assert again["differs"] == []
    assert await explain_task(claims.engine, other)
    forked = await fork_task(claims.engine, claims.catalog, Fork(other, "guard", "coverage", False, "ann"))
    await go_on(claims, forked["task_id"])


async def test_a_task_that_has_not_ended_holds_up_what_its_run_reads(
    claims: Runtime, given: Settings, dsn: str
) -> None:
    await finish(claims, name=WHO)
    waiting = await submit(claims)
    await go_on(claims, waiting)
    with psycopg.connect(dsn, autocommit=True) as connection:
        sql = "UPDATE proposals SET body = jsonb_set(body, '{rationale}', %s) WHERE task_id = %s"
        connection.execute(sql, (json.dumps(QUOTING), waiting))
    before = _rows_of(dsn, waiting)
    with pytest.raises(InputError, match=f"have not ended quote the person: {waiting}"):
        await _erase(claims, given, WHO)
    assert "tasks.payload" in found_in_database(dsn, (WHO,))
    assert set((await _erase(claims, given, WHO, dry_run=True)).held) == {waiting}
    told = await _erase(claims, given, WHO, now=True)
    assert told.held == {waiting: len(before["proposals"])}
    assert found_in_database(dsn, (WHO,)) == {"proposals.body"}
    assert _rows_of(dsn, waiting)["proposals"] == before["proposals"]
    with pytest.raises(InputError, match="have not ended"):
        await _erase(claims, given, WHO)
    while await status(claims, waiting) == TaskStatus.PARKED:
        await answer(claims, waiting, "fine")
        await go_on(claims, waiting)
    assert (await _erase(claims, given, WHO)).tasks == ()
    assert found_in_database(dsn, (WHO,)) == set()
    with pytest.raises(NotFound, match="nothing quotes it"):
        await _erase(claims, given, WHO)


async def test_another_subjects_payload_is_their_word(claims: Runtime, given: Settings, dsn: str) -> None:
    brother = await finish(claims, remark=QUOTING)
    await finish(claims, name=WHO)
    told = await _erase(claims, given, WHO)
    assert "1 other subjects' own payloads name the person: left, that is their word" in told.notes
    assert (await show_task(claims.engine, brother))["task"]["payload"]["remark"] == QUOTING
    assert "memories.text" not in found_in_database(dsn, (WHO,))
    assert await _holds(claims, given)


async def test_of_every_event_only_what_is_nobodys_stays(claims: Runtime, given: Settings, dsn: str) -> None:
    own = await finish(claims, name=WHO)
    async with claims.engine.begin() as connection:
        for number, event in enumerate((*KEPT, "new.event")):
            data = {**{name: "kept" for name in KEPT.get(event, ())}, "said": "Zq", "deep": {"said": ["Zq"]}}
            by: Any = {"fence": 1, "actor": "w"}
            await write_event(connection, own, f"extra:{number}", event, data, **by)
    await _erase(claims, given, WHO)
    with psycopg.connect(dsn) as connection:
        query = "SELECT event, data - 'erased' FROM events WHERE key LIKE 'extra:%' ORDER BY seq"
        left = dict(connection.execute(query).fetchall())
    assert left == {**{event: dict.fromkeys(names, "kept") for event, names in KEPT.items()}, "new.event": {}}
    assert {one.kind for one in (await audit.verify(claims.engine, given.home, own, None)).problems} <= {"edited"}


async def test_who_is_only_in_a_batchs_bad_lines_is_found(
    claims: Runtime, given: Settings, dsn: str, postgres: PostgresServer
) -> None:
    bad = json.dumps([{"line": 7, "problem": f"amount: {WHO!r} is no number"}])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO batches (id, task_type, source, principal, lane, rows, bad) "
            "VALUES ('b1', 'claim', 'f', 'ann', 'direct', 1, %s)",
            (bad,),
        )
    prefect = postgres.cluster.dsn("prefect")
    async with get_client() as client:
        shown = {"key": "batch-b1", "type": "markdown", "data": f"- line 7: {WHO} is no number\n- line 8: kept"}
        await client.request("POST", "/artifacts/", json=shown)
        await client.create_logs([LogCreate(name="flow", level=20, message=f"of {WHO}, kept", timestamp=now())])
    assert {"artifact.data", "artifact_collection.data", "log.message"} <= found_in_database(prefect, (WHO,))
    tried = await _erase(claims, given, WHO, dry_run=True, prefect_dsn=prefect)
    assert tried.places["batches.bad of others"] == 1
    told = await _erase(claims, given, WHO, prefect_dsn=prefect)
    assert told.tasks == ()
    assert found_in_database(dsn, (WHO,)) == found_in_database(prefect, (WHO,)) == set()
    with psycopg.connect(prefect) as connection:
        assert connection.execute("SELECT message FROM log WHERE message LIKE '%kept'").fetchone() == (
            "of erased, kept",
        )
        query = "SELECT data #>> '{}' FROM artifact_collection WHERE key = 'batch-b1'"
        assert connection.execute(query).fetchone() == ("- line 7: erased is no number\n- line 8: kept",)
    with pytest.raises(NotFound, match="nothing quotes it"):
        await _erase(claims, given, WHO, prefect_dsn=prefect)
    with pytest.raises(NotFound, match="too common"):
        await _erase(claims, given, "4711", prefect_dsn=prefect)


async def test_what_breaks_in_the_middle_is_done_by_the_next_call(
    claims: Runtime, given: Settings, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await finish(claims, name=WHO)
    quoted_in = found_in_database(dsn, (WHO,))

    async def breaks(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(erasing, "tell", breaks)
        with pytest.raises(RuntimeError, match="killed"):
            await _erase(claims, given, WHO)
    assert found_in_database(dsn, (WHO,)) == quoted_in
    await _erase(claims, given, WHO)
    assert found_in_database(dsn, (WHO,)) == set()
    assert await _holds(claims, given)
    # What is corrected later is stated anew.
    await outcomes.record_one(claims.engine, {"claim": claims.catalog.task_type("claim")}, own, "bad", "ann")
    assert await _holds(claims, given)
