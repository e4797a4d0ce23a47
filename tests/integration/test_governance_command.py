"""The command and the flow, on a real database and a real Prefect server."""

import csv
import hashlib
import json
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker

from control_plane.cli.main import main
from domain.errors import InputError, StackError
from domain.settings import Settings
from domain.task import Lane
from flows.governance_report import governance_report
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from storage.leases import claim_one
from tests.integration.test_lanes import CLEAR, LARGE


@pytest.fixture
async def decided(runtime: Runtime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Two applications, one of which waits for a person; commands are pointed at them."""
    monkeypatch.setenv("DATABASE_URL", runtime.dsn)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PARLEY_STATE", str(tmp_path / "state"))
    kind, ids = runtime.catalog.task_type("credit_review"), []
    for payload in (CLEAR, LARGE):
        submitted = await submit_task(runtime.engine, kind, payload, principal="ann", lane=Lane.DIRECT)
        claim = await claim_one(runtime.engine, "test", submitted.task_id, seconds=30)
        assert claim is not None
        await run_task(runtime, claim.lease, DIRECT, runtime.graphs())
        ids.append(submitted.task_id)
    return ids


def test_the_command_writes_what_it_says(
    decided: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.csv"
    given = ["governance", "report", "--type", "credit_review", "--since", "1h", "--format", "csv", "--out", str(out)]
    assert main([*given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == {"csv": str(out)}
    assert told["sha256"]["csv"] == hashlib.sha256(out.read_bytes()).hexdigest()
    with out.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == told["summary"]["rows"]
    assert {*decided} <= {line["task"] for line in lines}
    assert main(["governance", "report"]) == 0
    printed = capsys.readouterr().out
    page = Path(next(line for line in printed.splitlines() if line.startswith("html: ")).removeprefix("html: "))
    assert page.is_relative_to(tmp_path / "state" / "reports")
    assert page.stat().st_size > 0
    assert "under no anchor" in printed


@pytest.mark.parametrize(
    "wrong",
    [
        ["--format", "pdf"],
        ["--since", "yesterday"],
        ["--until", "soon"],
        ["--by", "hour"],
        ["--since", "1h", "--until", "2h"],
    ],
)
def test_bad_input_is_refused(decided: list[str], wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["governance", "report", *wrong]) == 2
    assert wrong[0] in capsys.readouterr().err


def test_a_type_that_is_not_there_is_refused(decided: list[str]) -> None:
    assert main(["governance", "report", "--type", "no_such"]) != 0


async def test_the_flow_writes_the_report_and_an_artifact(
    decided: list[str], settings: Settings, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.setenv("PARLEY_STATE", str(settings.home))
    found = await governance_report()
    assert found["summary"]["chains"]["problems"] == 0
    assert found["summary"]["rows"] > 0
    for name, path in found["files"].items():
        assert Path(path).is_relative_to(settings.home / "reports")
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == found["sha256"][name]
    async with get_client() as client:
        artifacts = {artifact.key: str(artifact.data) for artifact in await client.read_artifacts()}
    assert found["summary"]["report_id"] in artifacts["governance"]
    assert found["sha256"]["csv"] in artifacts["governance"]
    assert found["files"]["html"] in artifacts["governance-report"]
    of_type = await governance_report(task_type="credit_review", since="2020-01-01", by="month")
    assert of_type["summary"]["task_type"] == "credit_review"
    with pytest.raises(InputError, match="since"):
        await governance_report(since="yesterday")
    with pytest.raises(InputError):
        await governance_report(task_type="no_such")
    # What is logged in the background must be out before the server is gone.
    APILogWorker.drain_all(timeout=10)
    EventsWorker.drain_all(timeout=10)
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(StackError, match="DATABASE_URL"):
        await governance_report()
