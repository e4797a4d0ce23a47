"""Calibrating from end to end: tasks that the shipped pilot decided, the flow on a real server, the commands."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from sqlalchemy import Connection, func, select

from catalog.cases import Case, read_cases
from control_plane.cli import calibration
from control_plane.cli.main import main
from control_plane.services.compare import CompareRequest, compare_strategies
from control_plane.services.outcomes import LabelledCase, record_cases
from domain.settings import ROOT
from domain.task import Lane
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_cases
from storage import tables
from storage.leases import claim_one
from tests.integration.commands import pointed_at, run_json

KIND = "credit_review"
FILE = ROOT / "pilots/credit_review/data/applications.csv"
CASES = 150
LATER = 8


@pytest.fixture
def database(dsn: str, prefect_api: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Connection]:
    """A connection to look with; commands are pointed at the same database and at the session's Prefect server."""
    with pointed_at(dsn, monkeypatch, tmp_path) as connection:
        monkeypatch.setenv("PREFECT_API_URL", prefect_api)
        # The stack's own environment would outlive the test; all that the flow needs of it stands by now.
        monkeypatch.setattr(calibration, "enter_stack", lambda *, quiet: None)
        yield connection
    # What Prefect sends in the background must be out before its server is gone: it would retry for minutes.
    APILogWorker.drain_all(timeout=10)
    EventsWorker.drain_all(timeout=10)


async def _decide(runtime: Runtime, offset: int, limit: int) -> tuple[Case, ...]:
    kind = runtime.catalog.task_type(KIND)
    file = read_cases(kind, FILE, offset, limit)
    batch = await submit_cases(runtime.engine, kind, file, source=str(FILE), principal="ann", lane=Lane.DIRECT)
    for task_id in batch.task_ids:
        claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
        assert claim is not None
        await run_task(runtime, claim.lease, DIRECT, runtime.graphs())
    return file.cases


async def _record(runtime: Runtime, cases: tuple[Case, ...]) -> None:
    kind = runtime.catalog.task_type(KIND)
    labelled = [LabelledCase(case.line, case.key, str(case.outcome)) for case in cases]
    found = await record_cases(runtime.engine, {KIND: kind}, labelled, "bob")
    assert found.tasks >= len(cases)


def test_errors_have_their_exit_codes(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "no_such_type"]) == 2
    assert main(["calibrate", KIND, "3"]) == 2
    assert main(["calibrate", KIND, "--activate", "--list"]) == 2
    assert main(["calibrate", KIND, "--list", "--dry-run"]) == 2
    assert main(["calibrate", KIND, "--until", "whenever"]) == 2
    assert "--until whenever: not a time" in capsys.readouterr().err
    assert main(["calibrate", KIND, "--alpha", "7"]) == 2
    assert "between 0 and 1" in capsys.readouterr().err
    assert main(["calibrate", KIND, "--activate", "7"]) == 2
    assert f"{KIND}/affordability has no calibration 7" in capsys.readouterr().err
    assert main(["calibrate", KIND, "--activate"]) == 1
    assert f"make one with `parley calibrate {KIND}`" in capsys.readouterr().err
    assert main(["calibrate", KIND, "--withdraw", " "]) == 2
    assert main(["calibrate", KIND, "--withdraw", "in doubt", "--since", "7d"]) == 2
    assert main(["calibrate", KIND, "--withdraw", "in doubt"]) == 2
    assert "no calibration in force" in capsys.readouterr().err
    assert run_json(capsys, "calibrate", KIND, "--list")["calibrations"] == []


def test_too_few_cases(database: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", KIND, "--since", "2199-01-01"]) == 1
    shown = capsys.readouterr().out
    assert "0 resolved cases" in shown
    assert "30 are needed to fit" in shown
    found = run_json(capsys, "calibrate", KIND, "--since", "2199-01-01", code=1)
    assert (found["calibration"], found["stored"], found["cases"]) == (None, False, 0)
    assert database.scalar(select(func.count()).select_from(tables.calibrations)) == 0


async def _run(*arguments: str) -> int:
    # In a thread, with an event loop of its own: the commands are sync.
    return await asyncio.to_thread(main, ["calibrate", KIND, *arguments])


async def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return await asyncio.to_thread(run_json, capsys, "calibrate", KIND, *arguments)


@pytest.mark.timeout(400)
async def test_from_resolved_cases_to_a_calibration_in_force(
    database: Connection,
    runtime: Runtime,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    await _record(runtime, await _decide(runtime, 0, CASES))
    capsys.readouterr()

    tried = await _json(capsys, "--dry-run")
    assert not tried["stored"]
    assert database.scalar(select(func.count()).select_from(tables.calibrations)) == 0

    assert await _run() == 0
    shown = capsys.readouterr().out
    for text in (
        "risk_analyst",
        "calibrated_pool *",
        "confidence_weighted",
        "log_odds",
        "stored as version 1, a shadow",
    ):
        assert text in shown
    stored = database.execute(select(tables.calibrations)).mappings().one()
    assert (stored["version"], stored["status"], stored["strategy"]) == (1, "shadow", "calibrated_pool")
    body = stored["body"]
    assert body["fit_cases"] + body["certify_cases"] + body["test_cases"] == tried["cases"]
    assert body["certificates"] == tried["calibration"]["certificates"], "the same cases and seed certify the same"
    # The pool learns, so what debate is worth is counted on cases that it was not fitted on.
    assert 0 < body["debate"]["cases"] < _more_than_one_round(database)
    with get_client(sync_client=True) as client:
        artifacts = [one for one in client.read_artifacts() if one.key == "calibration-credit-review"]
    assert any("stored as version 1" in str(one.data) for one in artifacts)

    later = await _decide(runtime, CASES, LATER)
    (listed,) = (await _json(capsys, "--list"))["calibrations"]
    assert listed["shadow"]["decisions"] == LATER
    # So few cases certify nothing for the pool, so it would send all of these to a person.
    assert not tried["certifies"]
    blind = _decided_blind(database)
    assert 0 < blind < LATER
    assert (listed["shadow"]["decided"], listed["shadow"]["resolved"]) == (0, 0)
    assert listed["shadow"]["alike"] <= LATER - blind
    await _record(runtime, later)
    seen = (await _json(capsys, "--list"))["calibrations"][0]["shadow"]
    assert (seen["decided"], seen["right"]) == (0, 0)
    assert blind <= seen["stood_resolved"] <= LATER
    assert 0 < seen["stood_right"] <= seen["stood_resolved"]

    await _refuses_another_panel(capsys, monkeypatch, tmp_path)

    assert await _run("--activate") == 0
    shown = capsys.readouterr().out
    assert "from now on" in shown
    assert f"of {LATER} decisions alike" in shown
    assert "nothing certifies calibrated_pool: everything goes to people" in shown
    await _compares_under_the_rules_that_took_over(runtime)
    assert await _run("--activate", "1") == 0
    assert "active already" in capsys.readouterr().out
    assert await _run("--activate") == 1
    assert "no shadow newer than 1, which stands" in capsys.readouterr().err

    assert await _run("--seed", "5") == 0
    capsys.readouterr()
    activated = (await _json(capsys, "--activate"))["activated"]
    assert (activated["old"]["version"], activated["new"]["version"], activated["changed"]) == (1, 2, True)
    states = {one["version"]: one["status"] for one in (await _json(capsys, "--list"))["calibrations"]}
    assert states == {1: "retired", 2: "active"}

    database.execute(tables.calibrations.update().where(tables.calibrations.c.version == 2).values(status="alarmed"))
    assert await _run("--activate", "2") == 1
    assert "has alarmed" in capsys.readouterr().err
    assert await _run("--activate", "1") == 0, "an earlier version can be put back"


async def _compares_under_the_rules_that_took_over(runtime: Runtime) -> None:
    """What the pool decided is given back by it; the others run under its bound, and not under escalate_below."""
    await _record(runtime, await _decide(runtime, CASES + LATER, LATER))
    kind = runtime.catalog.task_type(KIND)
    async with runtime.engine.connect() as connection:
        query = select(tables.batches.c.id).order_by(tables.batches.c.created_at.desc()).limit(1)
        batch = str(await connection.scalar(query))
    request = CompareRequest("calibrated_pool,confidence_weighted", batch_ids=[batch], against="calibrated_pool")
    found = await compare_strategies(runtime.engine, kind, request)
    assert found["recorded_again"]["same"] == found["cases"] == LATER
    recorded, pool, weighted = found["strategies"]
    assert recorded["escalated"] == pool["escalated"] == {"below_threshold": LATER}
    assert weighted["decided"] == 0, "without a certificate it decides nothing, however large its margin"
    assert found["in_sample"].startswith("no case is in-sample")
    assert {row["strategy"] for row in found["blind"]["strategies"] if row["against"]} == {"confidence_weighted"}


def _more_than_one_round(database: Connection) -> int:
    found = tables.decisions.c.rounds > 1
    return database.scalar(select(func.count()).select_from(tables.decisions).where(found)) or 0


def _decided_blind(database: Connection) -> int:
    """How many decisions that a shadow was computed beside ended with the blind round."""
    found, shadow = tables.decisions.c, tables.decisions.c.body["shadow"]["calibration"].astext
    query = select(func.count()).where(shadow == "1", found.kind == "decided", found.rounds == 1)
    return database.scalar(query) or 0


async def _refuses_another_panel(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pilots = tmp_path / "pilots"
    shutil.copytree(ROOT / "pilots/credit_review", pilots / "credit_review", ignore=shutil.ignore_patterns("data"))
    persona = pilots / "credit_review/personas/risk_analyst.yaml"
    content = yaml.safe_load(persona.read_text())
    persona.write_text(yaml.safe_dump({**content, "version": content["version"] + 1}))
    with monkeypatch.context() as changed:
        changed.setenv("PARLEY_CATALOG", str(pilots))
        assert await _run("--activate") == 1
        assert "persona risk_analyst is version" in capsys.readouterr().err
        # Its resolved cases were all decided by the panel as it was.
        assert await _run() == 1
        assert f"{CASES + LATER} (decided by other personas" in capsys.readouterr().out
