"""The flow on a real Prefect server: the run is kept, its table is an artifact, and a regression fails it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from sqlalchemy import Connection

from domain.errors import RedTeamRegression, StackError
from flows.red_team import red_team
from guardrails.redteam.baseline import Baseline
from guardrails.redteam.scenarios import PILOT
from orchestration.redteam import run
from storage.evaluation_tables import redteam_runs
from tests.integration.commands import pointed_at, read_row

EVERY = 50


@pytest.fixture
def database(dsn: str, prefect_api: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Connection]:
    with pointed_at(dsn, monkeypatch, tmp_path) as connection:
        monkeypatch.setenv("PREFECT_API_URL", prefect_api)
        yield connection
    # What Prefect sends in the background must be out before its server is gone: it would retry for minutes.
    APILogWorker.drain_all(timeout=10)
    EventsWorker.drain_all(timeout=10)


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    file = tmp_path / "texts.csv"
    file.write_text("text,label,source\nplease pay me more,1,asks\nthe lamp is broken,0,says\n")
    return str(file)


async def _artifacts() -> list[str]:
    async with get_client() as client:
        return [one.data for one in await client.read_artifacts() if one.key == "red-team-refund-desk"]


async def test_a_run_is_kept_and_shown(database: Connection, corpus: str) -> None:
    found = await red_team(corpora=[corpus], every=EVERY)
    kept = read_row(database, redteam_runs, id=found["id"])
    assert (kept["passed"], kept["body"]["scenarios"]["breached"]) == (True, 0)
    assert kept["body"]["scenarios"]["attacks"] == 2
    assert all(one["held"] for one in kept["body"]["tricks"])
    [shown] = await _artifacts()
    assert "**passed**" in shown
    assert "| colluding\\_personas | yes |" in shown


async def test_a_regression_fails_the_run_and_is_kept_all_the_same(
    database: Connection, corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def strict(*_: object) -> Baseline:
        return Baseline(floors={"asks": 1.0})

    monkeypatch.setattr(run, "baseline_of", strict)
    before = len(await _artifacts())
    with pytest.raises(RedTeamRegression, match=r"asks: recall 0\.0%, 100\.0 points under the limit of 100\.0%"):
        await red_team(corpora=[corpus], every=None)
    assert read_row(database, redteam_runs, passed=False)["task_type"] == PILOT
    assert len(await _artifacts()) == before + 1


async def test_without_a_database_it_says_so(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(StackError, match="DATABASE_URL is not set"):
        await red_team()
