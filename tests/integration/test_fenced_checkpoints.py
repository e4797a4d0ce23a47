"""Checkpoints carry the run's fence: under a stale one nothing is written, under its own what LangGraph would."""

import asyncio
import importlib.metadata
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langgraph.checkpoint.base import ERROR, INTERRUPT, empty_checkpoint
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import sql

from domain.errors import LeaseLost
from domain.task import Lease
from orchestration.state import SubtaskState, TaskState
from storage.checkpoints import END, FencedSaver, Pool, open_pool, thread_of

TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
LEASE = Lease(task_id="t1", owner="a", fence=3)
METADATA: Any = {"source": "loop", "step": 0, "parents": {}}
_TASK = """
INSERT INTO tasks (id, task_type, type_version, payload, request_hash, principal, lane, status, seed, memory_as_of,
  deadline_at, fence)
VALUES ('t1', 'x', 1, '{}', 'h', 'ann', 'direct', 'running', 0, now(), now() + interval '1 day', 3)
ON CONFLICT (id) DO UPDATE SET fence = 3, due = true, ended_at = NULL
"""


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    made = await open_pool(dsn, size=4)
    async with made.connection() as connection:
        await connection.execute(_TASK)
        for table in TABLES:
            await connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
    yield made
    await made.close()


async def _rows(pool: Pool) -> dict[str, list[dict[str, Any]]]:
    async with pool.connection() as connection:
        found = {}
        for table in TABLES:
            query = sql.SQL("SELECT to_jsonb(t) AS row FROM {} t ORDER BY t::text").format(sql.Identifier(table))
            found[table] = [row["row"] for row in await (await connection.execute(query)).fetchall()]
        return found


async def _fill(saver: AsyncPostgresSaver, thread: Any) -> None:
    """Two checkpoints with plain, structured and absent values, and writes of each kind, one kind repeated."""
    first = {**empty_checkpoint(), "id": "c1", "ts": "then"}
    first["channel_values"] = {"plain": 1, "text": "é", "none": None, "list": [1, {"a": "b"}]}
    first["channel_versions"] = {"plain": "1", "list": "1", "gone": "1"}
    kept = await saver.aput(thread, first, METADATA, first["channel_versions"])  # type: ignore[arg-type]
    at: Any = {"configurable": {**thread["configurable"], **kept["configurable"]}}
    await saver.aput_writes(at, [("plain", 2), ("list", {"x": [1]}), ("plain", 3)], "node", "path")
    await saver.aput_writes(at, [("plain", 9), ("list", {}), ("plain", 9)], "node", "path")
    await saver.aput_writes(at, [(INTERRUPT, ["a"])], "node")
    await saver.aput_writes(at, [(INTERRUPT, ["b"]), (ERROR, "e")], "node")
    await saver.aput_writes(at, [], "node")
    second = {
        **first,
        "id": "c2",
        "channel_values": {"plain": 2, "list": [2]},
        "channel_versions": {"plain": "2", "list": "2"},
    }
    await saver.aput(at, second, METADATA, {"list": "2"})  # type: ignore[arg-type]
    await saver.aput(at, second, {**METADATA, "step": 1}, {"list": "2"})  # type: ignore[arg-type]


@pytest.mark.parametrize("subtask", [None, "answer"])
async def test_writes_what_the_plain_saver_writes(pool: Pool, subtask: str | None) -> None:
    # Another version may write other rows: read its source, then change this pin.
    assert importlib.metadata.version("langgraph-checkpoint-postgres") == "3.2.0"
    thread = thread_of(LEASE, subtask)
    await _fill(AsyncPostgresSaver(pool), thread)
    plain = await _rows(pool)
    assert all(plain.values())
    async with pool.connection() as connection:
        for table in TABLES:
            await connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
    await _fill(FencedSaver(pool), thread)
    assert await _rows(pool) == plain
    assert {row["metadata"]["fence"] for row in plain["checkpoints"]} == {3}


async def test_reads_back_what_it_wrote(pool: Pool) -> None:
    saver = FencedSaver(pool)
    await _fill(saver, thread_of(LEASE))
    found = [one async for one in saver.alist(thread_of(LEASE))]
    assert [one.checkpoint["id"] for one in found] == ["c2", "c1"]
    assert found[0].checkpoint["channel_values"] == {"plain": 2, "list": [2]}
    assert found[0].parent_config is not None
    assert ("node", INTERRUPT, ["b"]) in (found[1].pending_writes or [])


@pytest.mark.parametrize(
    "thread",
    [
        thread_of(LEASE.model_copy(update={"fence": 2})),
        thread_of(LEASE.model_copy(update={"fence": 2}), "answer"),
        thread_of(LEASE.model_copy(update={"fence": 4})),
        thread_of(LEASE.model_copy(update={"task_id": "unknown"})),
        {"configurable": {"thread_id": "t1", "checkpoint_ns": ""}},
    ],
)
async def test_a_fence_that_does_not_stand_writes_nothing(pool: Pool, thread: Any) -> None:
    saver = FencedSaver(pool)
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"list": [1]}
    with pytest.raises(LeaseLost, match="stale"):
        await saver.aput(thread, checkpoint, METADATA, {"list": "1"})
    at: Any = {"configurable": {**thread["configurable"], "checkpoint_id": "c1"}}
    for writes in ([("plain", 1)], [(INTERRUPT, "x")]):
        with pytest.raises(LeaseLost, match="stale"):
            await saver.aput_writes(at, writes, "node")
    assert not any((await _rows(pool)).values())


@pytest.mark.parametrize("subtask", [None, "answer"])
async def test_an_ended_task_keeps_no_more(pool: Pool, subtask: str | None) -> None:
    saver, thread = FencedSaver(pool), thread_of(LEASE, subtask)
    async with pool.connection() as connection:
        await connection.execute("UPDATE tasks SET ended_at = now(), due = false WHERE id = 't1'")
    with pytest.raises(LeaseLost, match="has ended"):
        await saver.aput(thread, empty_checkpoint(), METADATA, {})
    at: Any = {"configurable": {**thread["configurable"], "checkpoint_id": "c1"}}
    with pytest.raises(LeaseLost, match="has ended"):
        await saver.aput_writes(at, [("plain", 1)], "node")
    assert not any((await _rows(pool)).values())


async def test_what_the_end_leaves_behind_is_not_kept(pool: Pool) -> None:
    assert END in TaskState.__annotations__
    assert END not in SubtaskState.__annotations__
    saver, thread = FencedSaver(pool), thread_of(LEASE)
    last = empty_checkpoint()
    last["channel_values"] = {END: "done"}
    kept = await saver.aput(thread, last, METADATA, {END: "1"})
    assert kept["configurable"]["checkpoint_id"] == last["id"]
    at: Any = {"configurable": {**thread["configurable"], "checkpoint_id": "c1"}}
    await saver.aput_writes(at, [(END, "done")], "node")
    assert not any((await _rows(pool)).values())


async def test_a_claim_under_way_is_waited_for(pool: Pool) -> None:
    """The fence is read behind the task's lock: a claim that commits meanwhile makes the write stale."""
    saver = FencedSaver(pool)
    async with pool.connection() as other:
        async with other.transaction():
            await other.execute("UPDATE tasks SET fence = fence + 1 WHERE id = 't1'")
            put = asyncio.create_task(saver.aput(thread_of(LEASE), empty_checkpoint(), METADATA, {}))
            await asyncio.sleep(0.2)
            assert not put.done()
        with pytest.raises(LeaseLost):
            await put
    assert not any((await _rows(pool)).values())
