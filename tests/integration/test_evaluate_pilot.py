"""The flow from end to end, on a Prefect server of the test's own and tasks that the shipped pilot decided."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from sqlalchemy import Engine, delete, select, text

import flows.evaluate_pilot as stages
from catalog.cases import read_cases
from control_plane.services.evaluation import as_rows
from deployments.postgres import PostgresServer
from deployments.prefect_server import plan_url, start_server, wait_healthy
from deployments.processes import stop
from deployments.state import StackState
from domain.errors import InputError, StackError
from domain.settings import ROOT, Settings
from domain.task import Lane
from evaluation.quality import Quality
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from storage import evaluation_tables, tables
from storage.engine import sync_engine
from storage.leases import claim_one

CASES = 6


@pytest.fixture(scope="module")
def prefect_api(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server on its own database of the session's Postgres."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE prefect_evaluation")
    state = StackState(
        home=tmp_path_factory.mktemp("stack"),
        dsn=postgres.dsn,
        prefect_api_url=plan_url(),
        prefect_dsn=postgres.cluster.dsn("prefect_evaluation"),
    )
    server = start_server(state, os.environ)
    try:
        wait_healthy(state.prefect_api_url, server, lambda line: None)
        storage = {PREFECT_API_URL: state.prefect_api_url, PREFECT_LOCAL_STORAGE_PATH: state.home / "results"}
        with temporary_settings(storage):
            yield state.prefect_api_url
            # What Prefect sends in the background must be out before its server is gone: it would retry for minutes.
            APILogWorker.drain_all(timeout=10)
            EventsWorker.drain_all(timeout=10)
    finally:
        stop(server)


@pytest.fixture
async def decided(runtime: Runtime) -> int:
    """Cases of the shipped pilot, run to their end, each with its outcome."""
    kind = runtime.catalog.task_type("credit_review")
    cases = read_cases(kind, ROOT / "pilots/credit_review/data/applications.csv", limit=CASES).cases
    for case in cases:
        submitted = await submit_task(runtime.engine, kind, case.payload, principal="ann", lane=Lane.DIRECT)
        claim = await claim_one(runtime.engine, "test", submitted.task_id, seconds=30)
        assert claim is not None
        await run_task(runtime, claim.lease, DIRECT, runtime.graphs())
        async with runtime.engine.begin() as connection:
            await connection.execute(
                tables.outcomes.insert().values(
                    task_id=submitted.task_id,
                    label=case.outcome,
                    right_action=kind.outcome_map[str(case.outcome)],
                    recorded_by="bob",
                )
            )
    return len(cases)


@pytest.fixture
def database(dsn: str) -> Iterator[Engine]:
    made = sync_engine(dsn)
    yield made
    made.dispose()


def test_a_pilot_is_evaluated_reported_and_cached(
    decided: int, database: Engine, settings: Settings, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", str(settings.database_url))
    monkeypatch.setenv("PARLEY_STATE", str(settings.home))
    checked: list[str] = []

    def check(url: str, task_type: str, period: Any) -> Quality:
        checked.append(task_type)
        return real(url, task_type, period)

    real = stages.check
    monkeypatch.setattr(stages, "check", check)

    first = stages.evaluate_pilot("credit_review")
    assert first["trusted"], first["quality"]
    assert first["metrics"]["total"] == decided
    assert first["metrics"]["outcomes_known"] == decided
    assert first["reference"] is None
    for name in ("html", "evidently_html", "json", "markdown"):
        assert Path(first[name]).parent == settings.home / "reports" / first["report_id"]
        assert Path(first[name]).stat().st_size > 0
    assert json.loads(Path(first["json"]).read_text()) == json.loads(json.dumps(first))
    assert as_rows(first)[0] == ("Tasks", str(decided), "–")

    with database.begin() as connection:
        # An evaluation of open tasks is never cached: they age.
        connection.execute(text("UPDATE tasks SET status = 'done' WHERE status = 'parked'"))
    whole = {"since": "2020-01-01T00:00:00Z", "until": datetime.now(UTC).isoformat()}
    before = len(checked)
    again = stages.evaluate_pilot("credit_review", **whole)
    same = stages.evaluate_pilot("credit_review", **whole)
    assert len(checked) <= before + 1
    assert same["metrics"] == again["metrics"]
    assert same["report_id"] != again["report_id"]

    with database.begin() as connection:
        connection.execute(delete(tables.decisions))
    broken = stages.evaluate_pilot("credit_review", **whole)
    assert not broken["trusted"]
    assert "done_has_decision" in {failure["rule"] for failure in broken["quality"]["failures"]}

    with database.connect() as connection:
        reports = {row.id: row for row in connection.execute(select(evaluation_tables.reports))}
    assert len(reports) == 4
    assert reports[first["report_id"]].html_path == first["html"]
    assert not reports[broken["report_id"]].trusted

    with get_client(sync_client=True) as client:
        artifacts = [(artifact.key, str(artifact.data)) for artifact in client.read_artifacts()]
    for report_id in reports:
        assert any(key == "evaluation-credit-review" and report_id in data for key, data in artifacts)
        assert any(f"/{report_id}/report.html" in data for _, data in artifacts)


def test_bad_input_is_refused(settings: Settings, dsn: str, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(StackError, match="DATABASE_URL"):
        stages.evaluate_pilot("credit_review")
    monkeypatch.setenv("DATABASE_URL", dsn)
    with pytest.raises(InputError, match="since"):
        stages.evaluate_pilot("credit_review", since="yesterday")
    with pytest.raises(InputError):
        stages.evaluate_pilot("no_such_type")
