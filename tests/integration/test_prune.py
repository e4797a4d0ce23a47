"""Pruning takes the checkpoints of finished tasks, and nothing that replay, forks or the audit need."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from control_plane.services.forks import Fork, fork_task
from control_plane.services.replay import replay_task
from domain.errors import InputError
from domain.task import TaskStatus
from orchestration.retention import age_of, prune
from orchestration.run import Runtime
from tests.integration.test_lanes import CLEAR, LARGE
from tests.integration.test_replay import finish, run, submit

HELD = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


async def held(runtime: Runtime, task_id: str) -> int:
    counts = " + ".join(f"(SELECT count(*) FROM {one} WHERE split_part(thread_id, '/', 1) = :id)" for one in HELD)
    async with runtime.engine.connect() as connection:
        return int(await connection.scalar(text(f"SELECT {counts}"), {"id": task_id}) or 0)


async def test_only_finished_tasks_of_that_age_lose_their_checkpoints(runtime: Runtime) -> None:
    old, fresh, parked = await finish(runtime, CLEAR), await finish(runtime, CLEAR), await submit(runtime, LARGE)
    assert await run(runtime, parked) is TaskStatus.PARKED
    async with runtime.engine.begin() as connection:
        sql = "UPDATE tasks SET ended_at = now() - interval '40 days' WHERE id = :id"
        await connection.execute(text(sql), {"id": old})
    before = await held(runtime, fresh)
    found = await prune(runtime.engine, timedelta(days=30))
    assert (found.tasks, found.rows > 0, found.bytes > 0) == (1, True, True)
    assert await held(runtime, old) == 0
    assert await held(runtime, fresh) == before > 0
    assert await held(runtime, parked) > 0
    assert (await prune(runtime.engine, timedelta(days=30))).tasks == 0
    assert (await replay_task(runtime.engine, runtime.catalog, old))["equal"]
    made = await fork_task(runtime.engine, runtime.catalog, Fork(old, "execute", None, False, "cleo"))
    assert await run(runtime, made["task_id"]) is TaskStatus.DONE


@pytest.mark.parametrize("given", ["30", "d", "-1d", "1y", "1 d"])
def test_an_age_is_a_number_and_a_unit(given: str) -> None:
    with pytest.raises(InputError, match="give an age"):
        age_of(given)


def test_ages() -> None:
    assert (age_of("30d"), age_of("12h"), age_of("0m")) == (timedelta(days=30), timedelta(hours=12), timedelta())
