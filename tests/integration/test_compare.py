"""Recorded decisions of the shipped pilot decided once more under other strategies, on a real database."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.cases import read_cases
from control_plane.cli.main import main
from control_plane.services import outcomes
from control_plane.services.compare import CompareRequest, compare_strategies
from domain.errors import InputError, ParleyError
from domain.settings import Settings
from domain.task import Lane
from domain.task_type import TaskType
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_cases
from orchestration.wiring import catalog_of
from personas.panel import Panelist
from storage.leases import claim_one

CASES = 80
BATCH = "compared"
STRATEGIES = "plurality,consensus:tau=1,confidence_weighted,log_odds"


@pytest.fixture
def kind(settings: Settings) -> TaskType:
    """The shipped pilot."""
    return catalog_of(settings).task_type("credit_review")


@pytest.fixture
async def recorded(runtime: Runtime, kind: TaskType, monkeypatch: pytest.MonkeyPatch) -> AsyncEngine:
    """A decided batch with its outcomes; from then on no persona can be asked."""
    async with runtime.engine.connect() as connection:
        there = await connection.scalar(text("SELECT count(*) FROM batches"))
    if not there:
        await _decide(runtime, kind)

    async def asked(*_: Any) -> None:
        raise AssertionError("a replay asks nobody")

    monkeypatch.setattr(Panelist, "propose", asked)
    return runtime.engine


async def _decide(runtime: Runtime, kind: TaskType) -> None:
    path = Path(kind.folder) / "data" / "applications.csv"
    file = read_cases(kind, path, 0, CASES)
    batch = await submit_cases(
        runtime.engine, kind, file, source=str(path), principal="ann", lane=Lane.DIRECT, batch_id=BATCH
    )
    for task_id in batch.task_ids:
        claim = await claim_one(runtime.engine, "test", task_id, seconds=60)
        assert claim is not None
        await run_task(runtime, claim.lease, DIRECT, runtime.graphs())
    labels = [outcomes.LabelledCase(one.line, one.key, one.outcome) for one in file.cases if one.outcome]
    await outcomes.record_cases(runtime.engine, {kind.name: kind}, labels, "ann")


def _rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["strategy"]: row for row in found["strategies"]}


async def test_the_recorded_strategy_gives_the_record_back(recorded: AsyncEngine, kind: TaskType) -> None:
    found = await compare_strategies(recorded, kind, CompareRequest(STRATEGIES))
    assert found["recorded_again"] == {"same": CASES, "different": 0, "mismatches": []}
    rows = _rows(found)
    assert list(rows) == ["recorded", "plurality", "consensus(tau=1)", "confidence_weighted", "log_odds"]
    assert rows["recorded"]["n"] == rows["recorded"]["identified"] == CASES
    same = rows["confidence_weighted"]
    assert {**same, "strategy": "", "success_against": None, "leader_against": None} == {
        **rows["recorded"],
        "strategy": "",
    }
    paired = same["success_against"]["difference"]
    assert (paired["wins"], paired["losses"], paired["low"], paired["high"], paired["p"]) == (0, 0, 0.0, 0.0, 1.0)
    # Consensus asks for a second round wherever a panel is split; the record held one there, as its margins were small.
    assert all(row["decided"] + sum(row["escalated"].values()) == row["identified"] for row in rows.values())


async def test_the_blind_votes_of_every_case_are_counted(recorded: AsyncEngine, kind: TaskType) -> None:
    found = (await compare_strategies(recorded, kind, CompareRequest(STRATEGIES)))["blind"]
    rows = {row["strategy"]: row for row in found["strategies"]}
    assert found["reference"] == "recorded"
    assert {row["n"] for row in rows.values()} == {CASES}
    same = rows["confidence_weighted"]
    assert same["accuracy"] == rows["recorded"]["accuracy"]
    assert (same["against"]["difference"]["wins"], same["against"]["difference"]["losses"]) == (0, 0)
    assert all(row["certified_coverage"]["hits"] == 0 for row in rows.values()), "no calibration certifies anything"
    assert any("within noise" in line for line in found["words"])
    against = (await compare_strategies(recorded, kind, CompareRequest(STRATEGIES, against="plurality")))["blind"]
    tested = {row["strategy"] for row in against["strategies"] if row["against"]}
    assert tested == {"consensus(tau=1)", "confidence_weighted", "log_odds"}
    async with recorded.connect() as connection:
        hits = await connection.scalar(
            text(
                "SELECT count(*) FROM (SELECT p.task_id, o.right_action, sum((p.body->>'confidence')::float8 * "
                "CASE WHEN p.body->>'option' = o.right_action THEN 1 ELSE -1 END) AS led FROM proposals p "
                "JOIN outcomes o USING (task_id) WHERE p.round = 0 AND p.body->>'option' IS NOT NULL "
                "GROUP BY 1, 2) AS blind WHERE led > 0"
            )
        )
    assert rows["confidence_weighted"]["accuracy"]["hits"] == hits


async def test_figures_agree_with_the_rows(recorded: AsyncEngine, kind: TaskType) -> None:
    row = _rows(await compare_strategies(recorded, kind, CompareRequest("plurality")))["recorded"]
    async with recorded.connect() as connection:
        counted = (
            await connection.execute(
                text(
                    "SELECT count(d.option) AS decided, count(*) FILTER (WHERE d.action = o.right_action) AS hits, "
                    "count(*) AS n FROM decisions d JOIN outcomes o ON o.task_id = d.task_id"
                )
            )
        ).one()
    assert (row["decided"], row["success"]["hits"], row["success"]["n"]) == (counted.decided, counted.hits, counted.n)


async def test_without_a_calibration_log_odds_sends_everything_to_people(recorded: AsyncEngine, kind: TaskType) -> None:
    found = await compare_strategies(recorded, kind, CompareRequest("log_odds,plurality", calibration="none"))
    row = _rows(found)["log_odds"]
    assert row["decided"] == 0
    assert any(note.startswith("log_odds: no calibration is active: plurality was counted") for note in found["notes"])
    assert {flip["flip"] for flip in found["flips"]["cases"] if flip["strategy"] == "log_odds"} == {"escalated_now"}


async def test_the_same_question_has_the_same_hash(recorded: AsyncEngine, kind: TaskType) -> None:
    first = await compare_strategies(recorded, kind, CompareRequest(STRATEGIES))
    again = await compare_strategies(recorded, kind, CompareRequest(STRATEGIES))
    assert json.dumps(first) == json.dumps(again)
    other = await compare_strategies(recorded, kind, CompareRequest("consensus:tau=0.9"))
    assert other["hash"] != first["hash"]


async def test_selections(recorded: AsyncEngine, kind: TaskType) -> None:
    every = await compare_strategies(recorded, kind, CompareRequest("plurality", batch_ids=[BATCH]))
    assert every["cases"] == CASES
    few = await compare_strategies(recorded, kind, CompareRequest("log_odds", limit_cases=3))
    assert len(few["flips"]["cases"]) == 3 < few["flips"]["total"]
    for problem, request in (
        (ParleyError, CompareRequest("plurality", batch_ids=["another"])),
        (InputError, CompareRequest("plurality", calibration="7")),
        (InputError, CompareRequest("plurality", calibration="new")),
        (InputError, CompareRequest("lead_decides")),
    ):
        with pytest.raises(problem):
            await compare_strategies(recorded, kind, request)


async def test_a_record_that_its_strategy_does_not_give_back_is_named(recorded: AsyncEngine, kind: TaskType) -> None:
    async with recorded.begin() as connection:
        chosen = await connection.scalar(text("SELECT min(task_id) FROM decisions"))
        change = text(
            "UPDATE decisions SET body = jsonb_set(body, '{result,margin}', to_jsonb(margin + CAST(:by AS float8))) "
            "WHERE task_id = :id"
        )
        await connection.execute(change, {"by": 0.001, "id": chosen})
    try:
        found = await compare_strategies(recorded, kind, CompareRequest("plurality"))
    finally:
        async with recorded.begin() as connection:
            await connection.execute(change, {"by": 0.0, "id": chosen})
    assert found["recorded_again"]["mismatches"] == [{"task_id": chosen, "problem": "differs in margin"}]


@pytest.mark.usefixtures("recorded")
async def test_the_command(dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    arguments = ["compare", "credit_review", "--strategies", STRATEGIES]
    assert await asyncio.to_thread(main, [*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cases"] == CASES
    assert await asyncio.to_thread(main, arguments) == 0
    shown = capsys.readouterr()
    assert f"hash: {found['hash']}" in shown.out
    assert f"given back by their own strategy: {CASES} of {CASES}" in shown.out
    assert "plurality was counted and every case goes to a person" in shown.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["frob", "--strategies", "plurality"], 2, "known: credit_review"),
        (["credit_review", "--strategies", "frob"], 2, "any of borda, calibrated_pool, confidence_weighted, consensus"),
        (["credit_review", "--strategies", "consensus:tua=1"], 2, "its parameters: tau"),
        (["credit_review", "--strategies", "consensus:tau=3"], 2, "strategy.parameters.tau"),
        (["credit_review", "--strategies", "plurality", "--alpha", "1"], 2, "--alpha 1"),
        (["credit_review", "--strategies", "plurality", "--since", "yore"], 2, "--since yore: not a time"),
        (["credit_review", "--strategies", "plurality", "--until", "yore"], 2, "--until yore: not a time"),
        (["credit_review", "--strategies", "plurality", "--against", "borda"], 2, "--against borda: give recorded"),
        (["credit_review"], 2, "--strategies"),
        (["credit_review", "--strategies", "plurality", "--batch", "none"], 1, "no decision of affordability"),
    ],
)
def test_errors_of_the_command(
    arguments: list[str],
    code: int,
    said: str,
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert main(["compare", *arguments]) == code
    assert said in capsys.readouterr().err.replace("\n", " ")
