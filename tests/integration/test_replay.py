"""A finished task comes out of its records as it went in, and a changed record does not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from catalog.load import Catalog
from control_plane.cli.main import main
from control_plane.services import inbox
from control_plane.services.replay import replay_task, what_if
from domain.settings import Settings
from domain.task import Lane, TaskStatus
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from storage.leases import claim_one
from tests.integration.commands import pointed_at
from tests.integration.five_subtasks import CLAIM, write_claims
from tests.integration.test_lanes import CLEAR, LARGE, SPLIT


async def submit(runtime: Runtime, payload: dict[str, Any], kind: str = "credit_review") -> str:
    found = await submit_task(
        runtime.engine, runtime.catalog.task_type(kind), payload, principal="ann", lane=Lane.DIRECT
    )
    return found.task_id


async def run(runtime: Runtime, task_id: str) -> TaskStatus:
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    return await run_task(runtime, claim.lease, DIRECT, runtime.graphs())


async def finish(runtime: Runtime, payload: dict[str, Any], kind: str = "credit_review") -> str:
    """Run to the end; a person approves whatever is asked."""
    task_id = await submit(runtime, payload, kind)
    while await run(runtime, task_id) is TaskStatus.PARKED:
        for row in await inbox.open_approvals(runtime.engine):
            if row["task_id"] == task_id:
                action = None if row["cause"] not in inbox.CHOOSING else row["shown"]["options"][0]
                await inbox.approve(
                    runtime.engine, row["id"], principal="bob", reason="seen", action=action, digest=None
                )
    return task_id


async def change(runtime: Runtime, sql: str, task_id: str) -> None:
    async with runtime.engine.begin() as connection:
        await connection.execute(text(sql), {"id": task_id})


@pytest.mark.parametrize("payload", [CLEAR, LARGE, SPLIT], ids=["clear", "large", "split"])
async def test_every_stage_comes_out_equal(runtime: Runtime, payload: dict[str, Any]) -> None:
    task_id = await finish(runtime, payload)
    found = await replay_task(runtime.engine, runtime.catalog, task_id)
    assert [(one["stage"], one["what"]) for one in found["stages"] if one["outcome"] != "equal"] == []
    assert found["equal"]
    stages = {one["stage"] for one in found["stages"]}
    assert stages >= {"intake", "plan", "memory/affordability", "negotiate/affordability", "guard/arguments", "report"}
    assert (await replay_task(runtime.engine, runtime.catalog, task_id))["digest"] == found["digest"]


async def test_five_subtasks_come_out_equal(settings: Settings, tmp_path: Path) -> None:
    given = settings.model_copy(update={"catalog": write_claims(tmp_path)})
    async with open_runtime(given) as runtime:
        task_id = await finish(runtime, CLAIM, "claim")
        found = await replay_task(runtime.engine, runtime.catalog, task_id)
    assert [(one["stage"], one["what"]) for one in found["stages"] if one["outcome"] != "equal"] == []


@pytest.mark.parametrize(
    ("sql", "stage"),
    [
        ("UPDATE tasks SET plan = jsonb_set(plan, '{planner}', '\"other\"') WHERE id = :id", "plan"),
        ("UPDATE snapshots SET hash = repeat('0', 64) WHERE task_id = :id", "memory/affordability"),
        (
            "UPDATE proposals SET body = jsonb_set(body, '{option}', '\"decline\"') WHERE task_id = :id "
            "AND persona = 'risk_analyst'",
            "negotiate/affordability",
        ),
        (
            "UPDATE verdicts SET body = jsonb_set(body, '{effect}', '\"deny\"') WHERE task_id = :id "
            "AND hop = 'arguments'",
            "guard/arguments",
        ),
        ("UPDATE tasks SET answer = 'decline' WHERE id = :id", "report"),
    ],
)
async def test_a_changed_record_is_found(runtime: Runtime, sql: str, stage: str) -> None:
    task_id = await finish(runtime, CLEAR)
    await change(runtime, sql, task_id)
    found = await replay_task(runtime.engine, runtime.catalog, task_id)
    assert stage in found["differs"]
    assert next(one["what"] for one in found["stages"] if one["stage"] == stage)


async def test_another_policy_is_said_with_both_results(runtime: Runtime, tmp_path: Path) -> None:
    from orchestration.wiring import catalog_of

    task_id = await finish(runtime, CLEAR)
    found = await replay_task(runtime.engine, _stricter(tmp_path, catalog_of), task_id)
    guard = next(one for one in found["stages"] if one["stage"] == "guard/arguments")
    assert guard["outcome"] == "not comparable"
    assert any("the policies are others now" in line for line in guard["what"])
    assert any("recorded allow, deny under the policies of now" in line for line in guard["what"])
    assert found["differs"] == []


def _stricter(folder: Path, read: Any) -> Catalog:
    import shutil

    from domain.settings import ROOT

    shutil.copytree(ROOT / "pilots", folder / "pilots")
    policies = folder / "pilots" / "credit_review" / "policies.cedar"
    forbid = '@id("NEW-1")\n@effect("deny")\n@reason("none")\n@owner("x")\nforbid (principal, action == Action::'
    policies.write_text(f'{policies.read_text()}\n{forbid}"arguments", resource);\n')
    found: Catalog = read(Settings(catalog=folder / "pilots"))
    return found


async def test_another_strategy_is_said_and_nothing_is_stored(runtime: Runtime) -> None:
    task_id = await finish(runtime, CLEAR)
    before = await _count(runtime)
    found = await what_if(runtime.engine, runtime.catalog, task_id, "supermajority:theta=3/4")
    assert found["recorded"]["strategy"] == "confidence_weighted"
    assert found["now"]["identified"]
    assert found["now"]["action"] == "approve"
    # One vote is not asked twice: a blind split under unanimity needs a round that was never held.
    assert await _count(runtime) == before


async def _count(runtime: Runtime) -> int:
    async with runtime.engine.connect() as connection:
        return int(
            await connection.scalar(text("SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM events)")) or 0
        )


@pytest.fixture
def database(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Connection]:
    with pointed_at(dsn, monkeypatch, tmp_path) as connection:
        yield connection


@pytest.fixture
async def finished(runtime: Runtime) -> str:
    return await finish(runtime, CLEAR)


def test_the_command_ends_with_one_where_a_stage_differs(
    finished: str, database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", finished, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"] is True
    database.execute(text("UPDATE tasks SET answer = 'decline' WHERE id = :id"), {"id": finished})
    assert main(["replay", finished]) == 1
    shown = capsys.readouterr().out
    assert "differs" in shown
    assert "answer: recorded 'decline', now 'approve'" in shown
    assert main(["replay", finished, "--strategy", "nonsense"]) == 2
