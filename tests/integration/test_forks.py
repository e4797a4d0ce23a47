"""A fork is a task of its own: it goes on from the records of another, and acts only where it is told to."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from control_plane.services import inbox
from control_plane.services.forks import Fork, fork_task
from control_plane.services.listing import show_task
from control_plane.services.replay import replay_task
from domain.errors import InputError
from domain.settings import Settings
from domain.task import TaskStatus
from orchestration.run import Runtime
from orchestration.wiring import open_runtime
from tests.fakes.target import FakeTarget, fake_target
from tests.integration.acting import acting, write_steps
from tests.integration.five_subtasks import CLAIM, write_claims
from tests.integration.test_lanes import CLEAR, LARGE, SPLIT
from tests.integration.test_replay import finish, run


async def fork(runtime: Runtime, task_id: str, stage: str, subtask: str | None = None, *, execute: bool = False) -> str:
    made = await fork_task(runtime.engine, runtime.catalog, Fork(task_id, stage, subtask, execute, "cleo"))
    return str(made["task_id"])


async def count(runtime: Runtime, table: str, task_id: str, more: str = "true") -> int:
    async with runtime.engine.connect() as connection:
        statement = text(f"SELECT count(*) FROM {table} WHERE task_id = :id AND {more}")
        return int(await connection.scalar(statement, {"id": task_id}) or 0)


async def drop_checkpoints(runtime: Runtime) -> None:
    async with runtime.engine.begin() as connection:
        for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
            await connection.execute(text(f"DELETE FROM {table}"))


@pytest.mark.parametrize("stage", ["negotiate", "guard", "execute"])
async def test_a_dry_fork_ends_as_its_source_and_does_nothing(runtime: Runtime, stage: str) -> None:
    source = await finish(runtime, CLEAR)
    await drop_checkpoints(runtime)
    task_id = await fork(runtime, source, stage)
    assert await run(runtime, task_id) is TaskStatus.DONE
    assert await count(runtime, "records", task_id) == 0
    assert await count(runtime, "memories", task_id) == 0
    found = await show_task(runtime.engine, task_id)
    assert found["actions"][0]["response"]["status"] == "dry_run"
    assert (found["task"]["forked_from"], found["task"]["answer"]) == (source, "approve")
    assert found["task"]["fork_stage"] == f"affordability/{stage}"
    assert [one["id"] for one in (await show_task(runtime.engine, source))["forks"]] == [task_id]
    for one in (source, task_id):
        assert await count(runtime, "events", one, "event = 'fork.created'") == 1
    again = await replay_task(runtime.engine, runtime.catalog, task_id)
    assert [(one["stage"], one["what"]) for one in again["stages"] if one["outcome"] != "equal"] == []


async def test_with_execute_the_action_happens_under_a_key_of_its_own(runtime: Runtime) -> None:
    source = await finish(runtime, CLEAR)
    task_id = await fork(runtime, source, "guard", execute=True)
    assert await run(runtime, task_id) is TaskStatus.DONE
    assert await count(runtime, "records", task_id) == 1
    assert await count(runtime, "records", source) == 1


async def test_the_recorded_proposals_are_taken_over_as_they_are(runtime: Runtime) -> None:
    source = await finish(runtime, SPLIT)
    task_id = await fork(runtime, source, "guard")
    sql = text("SELECT round, persona, key, body FROM proposals WHERE task_id = :id ORDER BY 1, 2")
    async with runtime.engine.connect() as connection:
        was = (await connection.execute(sql, {"id": source})).all()
        now = (await connection.execute(sql, {"id": task_id})).all()
    assert was == now
    assert await run(runtime, task_id) is TaskStatus.DONE


async def test_a_fork_at_approve_asks_anew(runtime: Runtime) -> None:
    source = await finish(runtime, LARGE)
    task_id = await fork(runtime, source, "approve")
    assert await run(runtime, task_id) is TaskStatus.PARKED
    [asked] = [row for row in await inbox.open_approvals(runtime.engine) if row["task_id"] == task_id]
    await inbox.refuse(runtime.engine, asked["id"], principal="bob", reason="not now", digest=None)
    assert await run(runtime, task_id) is TaskStatus.DENIED
    assert await count(runtime, "verdicts", task_id, "hop = 'arguments'") == 1


async def test_a_persons_answer_counts_once(runtime: Runtime) -> None:
    source = await finish(runtime, LARGE)
    with pytest.raises(InputError, match="counts once"):
        await fork(runtime, source, "execute", execute=True)
    task_id = await fork(runtime, source, "execute")
    assert await run(runtime, task_id) is TaskStatus.DONE
    assert await count(runtime, "records", task_id) == 0


async def test_what_the_records_do_not_lead_up_to_is_refused(runtime: Runtime) -> None:
    source = await finish(runtime, CLEAR)
    for stage, said in (("approve", "nothing of affordability was asked"), ("report", "give one of negotiate")):
        with pytest.raises(InputError, match=said):
            await fork(runtime, source, stage)
    with pytest.raises(InputError, match="--subtask nothing"):
        await fork(runtime, source, "guard", "nothing")


async def test_of_five_subtasks_what_depends_on_the_stage_is_done_anew(settings: Settings, tmp_path: Path) -> None:
    given = settings.model_copy(update={"catalog": write_claims(tmp_path)})
    async with open_runtime(given) as runtime:
        source = await finish(runtime, {**CLAIM, "reports": 0}, "claim")
        with pytest.raises(InputError, match="several subtasks"):
            await fork(runtime, source, "guard")
        task_id = await fork(runtime, source, "guard", "fraud")
        assert await _actions(runtime, task_id) == {}
        assert await run(runtime, task_id) is TaskStatus.DONE
        assert {*await _actions(runtime, task_id)} == {"fraud", "payout"}
        found = await show_task(runtime.engine, task_id)
        assert {one["subtask_id"]: one["status"] for one in found["subtasks"]} == {
            "coverage": "done",
            "fraud": "done",
            "urgency": "done",
            "payout": "done",
            "letter": "skipped",
        }


def _rolled_back(root: Path, target: FakeTarget, **more: Any) -> Path:
    acts = {"executor_parameters": target.parameters()}
    undone = {**acts, "compensate": "cancel"}
    return write_steps(root, {"book": undone, "charge": undone, "ship": acts} | more)


@pytest.mark.parametrize("execute", [True, False])
async def test_a_fork_behind_what_was_undone_is_refused(settings: Settings, tmp_path: Path, execute: bool) -> None:
    with fake_target() as target:
        target.refused = frozenset({"ship"})
        async with acting(settings, _rolled_back(tmp_path, target)) as stage:
            source, runtime = await stage.submit(), stage.runtime
            assert await stage.run_on(source) is TaskStatus.FAILED
            target.refused = frozenset()
            before = len(target.requests)
            for subtask, left in (("ship", "book, charge"), ("charge", "book")):
                with pytest.raises(InputError, match=rf"{left}: undone.*: fork with --from negotiate --subtask book"):
                    await fork(runtime, source, "guard", subtask, execute=execute)
            assert await _forks(runtime, source) == 0
            task_id = await fork(runtime, source, "execute", "book", execute=execute)
            assert await run(runtime, task_id) is TaskStatus.DONE
            sent = [key.rsplit("/")[-1] for key, _, _ in target.requests[before:]]
            assert sent == (["book", "charge", "ship"] if execute else [])


async def test_where_no_stage_lies_before_all_that_was_undone_there_is_no_fork(
    settings: Settings, tmp_path: Path
) -> None:
    with fake_target() as target:
        target.refused = frozenset({"ship"})
        other = {"executor_parameters": target.parameters(), "compensate": "cancel", "depends_on": []}
        catalog = _rolled_back(tmp_path, target, charge=other)
        async with acting(settings, catalog) as stage:
            source = await stage.submit()
            assert await stage.run_on(source) is TaskStatus.FAILED
            with pytest.raises(InputError, match="no stage lies before all of them: submit it anew"):
                await fork(stage.runtime, source, "guard", "book")


async def _forks(runtime: Runtime, task_id: str) -> int:
    return len((await show_task(runtime.engine, task_id))["forks"])


async def _actions(runtime: Runtime, task_id: str) -> dict[str, Any]:
    return {one["subtask_id"]: one for one in (await show_task(runtime.engine, task_id))["actions"]}
