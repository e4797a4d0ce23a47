"""A person planted through whole tasks is found nowhere after `erase`: no table, checkpoint, Prefect result or file."""

import base64
import json
import pickle
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH

from control_plane.services import audit
from control_plane.services.compare import CompareRequest, compare_strategies
from control_plane.services.erasure import Wanted, erase_subject
from control_plane.services.listing import explain_task, show_task
from control_plane.services.replay import replay_task
from deployments.postgres import PostgresServer
from domain.errors import InputError, NotFound
from domain.settings import Settings
from domain.task import Lane
from orchestration.run import Runtime
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from tests.integration.five_subtasks import CLAIM
from tests.integration.named_claims import NAME, REMARK, STREET, finish, write_named_claims

PLANTED = (NAME, STREET, REMARK, "Quorbin", "trombone", "enstieg 77b")


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Claims that name a person."""
    return write_named_claims(tmp_path)


@pytest.fixture
def given(settings: Settings, catalog: Path) -> Settings:
    return settings.model_copy(update={"catalog": catalog})


@pytest.fixture
async def claims(given: Settings) -> AsyncIterator[Runtime]:
    async with open_runtime(given) as runtime:
        yield runtime


_COLUMNS = (
    "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns c JOIN "
    "information_schema.tables t USING (table_schema, table_name) WHERE table_type = 'BASE TABLE' AND "
    "table_schema NOT IN ('pg_catalog', 'information_schema') AND (data_type IN ('text', 'character varying', 'jsonb', "
    "'json', 'bytea', 'ARRAY') OR data_type = 'USER-DEFINED')"
)


def found_in_database(dsn: str, planted: tuple[str, ...] = PLANTED) -> set[str]:
    """The columns, of every table there is, that hold a planted text in any encoding."""
    wanted = {
        form for one in planted for form in (one, json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1])
    }
    hits = set()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for schema, table, column, kind in connection.execute(_COLUMNS).fetchall():
            cell = f'"{column}"' if kind == "bytea" else f"convert_to(\"{column}\"::text, 'UTF8')"
            sql = f'SELECT count(*) FROM "{schema}"."{table}" WHERE ' + " OR ".join(
                f"position(%s::bytea IN {cell}) > 0" for _ in wanted
            )
            if connection.execute(sql, [one.encode() for one in sorted(wanted)]).fetchone() != (0,):  # type: ignore[arg-type]
                hits.add(f"{table}.{column}")
    return hits


def found_in_files(*folders: Path) -> set[str]:
    forms = [one for text_ in PLANTED for one in (text_.encode(), json.dumps(text_)[1:-1].encode())]
    hits = set()
    for folder in folders:
        for path in (one for one in folder.rglob("*") if one.is_file()):
            raw = path.read_bytes()
            try:
                raw += base64.b64decode(json.loads(raw)["result"])
            except (ValueError, KeyError, TypeError):
                raw += b""
            if any(form in raw for form in forms):
                hits.add(path.name)
    return hits


def _leave_files(home: Path, results: Path) -> None:
    """As an evaluation and a cached stage leave them."""
    report = home / "reports" / "r1"
    report.mkdir(parents=True)
    (report / "evidently.html").write_text(f"<td>{STREET.replace('<', '&lt;').replace('>', '&gt;')}</td><td>kept</td>")
    (report / "evidently.json").write_text(json.dumps({"top": [NAME, STREET]}))
    results.mkdir(parents=True, exist_ok=True)
    pickled = base64.b64encode(pickle.dumps({"remark": REMARK})).decode()
    (results / "cached").write_text(json.dumps({"metadata": {}, "result": pickled}))


@pytest.mark.usefixtures("prefect_api")
async def test_nothing_of_the_person_is_left(
    claims: Runtime, given: Settings, dsn: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = {"name": NAME, "street": STREET, "remark": REMARK}
    theirs = [await finish(claims, Lane.DIRECT, **who), await finish(claims, Lane.TRACED, **who)]
    recalling = await finish(claims, Lane.DIRECT)
    results = PREFECT_LOCAL_STORAGE_PATH.value()
    monkeypatch.setenv("PREFECT_LOCAL_STORAGE_PATH", str(results))
    _leave_files(given.home, results)
    prefect = postgres.cluster.dsn("prefect")
    planted_in = found_in_database(dsn)
    assert {"tasks.payload", "snapshots.contexts", "proposals.body", "decisions.body"} <= planted_in
    assert {"approvals.shown", "approvals.reason", "memories.text"} <= planted_in
    assert found_in_database(prefect)
    assert {"evidently.html", "evidently.json", "cached", "storage.sqlite"} <= found_in_files(given.home, results)

    tried = await erase_subject(claims.engine, claims.catalog, given, Wanted(NAME, "asked", "dpo", True, prefect))
    assert {one["id"] for one in tried.tasks} == {*theirs}
    assert found_in_database(dsn) == planted_in
    told = await erase_subject(
        claims.engine, claims.catalog, given, Wanted(NAME, f"{NAME} asked", "dpo", False, prefect)
    )
    assert "the memory index is in a worker's hands" in told.notes[0]
    assert claims.feed is not None
    await claims.feed.forget()

    assert found_in_database(dsn) == set()
    assert found_in_database(prefect) == set()
    assert found_in_files(given.home, results) == set()
    assert "kept" in (given.home / "reports" / "r1" / "evidently.html").read_text()
    for task_id in theirs:
        shown = await show_task(claims.engine, task_id)
        assert set(shown["task"]["payload"]) == {"erased"}
        assert shown["task"]["status"] == "done"
        with pytest.raises(InputError, match="was erased"):
            await explain_task(claims.engine, task_id)
        with pytest.raises(InputError, match="was erased"):
            await replay_task(claims.engine, claims.catalog, task_id)
    verified = await audit.verify(claims.engine, given.home, None, None)
    assert (verified.problems, verified.erased > 0) == ([], True)
    await _others_still_work(claims, recalling)
    with pytest.raises(NotFound, match="nothing quotes it"):
        await erase_subject(claims.engine, claims.catalog, given, Wanted(NAME, "again", "dpo", False, prefect))


async def _others_still_work(runtime: Runtime, recalling: str) -> None:
    again = await replay_task(runtime.engine, runtime.catalog, recalling)
    assert again["differs"] == []
    memory = [one for one in again["stages"] if one["stage"].startswith("memory/")]
    assert any("was erased" in line for one in memory for line in one["what"])
    compared = await compare_strategies(
        runtime.engine, runtime.catalog.task_type("claim"), CompareRequest(strategies="plurality")
    )
    assert compared["cases"] == 3
    later = await finish(runtime, Lane.TRACED)
    assert (await replay_task(runtime.engine, runtime.catalog, later))["differs"] == []


async def test_a_task_that_has_not_ended_is_refused(claims: Runtime, given: Settings) -> None:
    kind = claims.catalog.task_type("claim")
    payload = {**CLAIM, "name": "Pending Person", "street": "s", "remark": "r"}
    await submit_task(claims.engine, kind, payload, principal="ann", lane=Lane.DIRECT)
    with pytest.raises(InputError, match="not ended yet"):
        await erase_subject(claims.engine, claims.catalog, given, Wanted("Pending Person", "", "dpo", False))
    with pytest.raises(NotFound):
        await erase_subject(claims.engine, claims.catalog, given, Wanted("Nobody", "", "dpo", False))
