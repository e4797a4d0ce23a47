"""Two workers resume one task: one effect, the loser is refused, and no thread of checkpoints forks.

`PARLEY_FAULTS=full` in the environment has it done 200 times; else every point of the run is tried twice.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from sqlalchemy import text

from control_plane.services import inbox
from domain.errors import LeaseLost
from domain.settings import ROOT, Settings
from domain.task import Lane, Lease, TaskStatus
from orchestration.direct import DIRECT
from orchestration.graph import Graphs, build_graphs
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from storage.checkpoints import FencedSaver

TIMES = 200 if os.environ.get("PARLEY_FAULTS") == "full" else 28
AT_ONCE = 4
POINTS = 13
"""The writes of a resumed run up to its last stage; the other worker takes over before each of them in turn."""
PROCESS_TIMES = 20 if os.environ.get("PARLEY_FAULTS") == "full" else 6
FORKS = (
    "SELECT thread_id, parent_checkpoint_id, count(*) FROM checkpoints "
    "GROUP BY thread_id, checkpoint_ns, parent_checkpoint_id HAVING count(*) > 1"
)
NOTHING_WRONG = {
    "forks": FORKS,
    "an older fence wrote after a newer": "SELECT c.thread_id, c.checkpoint_id FROM checkpoints c JOIN checkpoints p "
    "ON p.thread_id = c.thread_id AND p.checkpoint_id = c.parent_checkpoint_id "
    "WHERE (c.metadata ->> 'fence')::int < (p.metadata ->> 'fence')::int OR c.metadata ->> 'fence' IS NULL",
    "a parent that is not there": "SELECT c.thread_id FROM checkpoints c WHERE c.parent_checkpoint_id IS NOT NULL "
    "AND NOT EXISTS (SELECT FROM checkpoints p WHERE p.thread_id = c.thread_id "
    "AND p.checkpoint_id = c.parent_checkpoint_id)",
    "not done": "SELECT id, status FROM tasks WHERE status <> 'done'",
    "effects": "SELECT t.id FROM tasks t LEFT JOIN records r ON r.task_id = t.id GROUP BY t.id HAVING count(r) <> 1",
    "actions": "SELECT t.id FROM tasks t LEFT JOIN actions a ON a.task_id = t.id AND a.status = 'done' "
    "GROUP BY t.id HAVING count(a) <> 1",
    "unended actions": "SELECT task_id, status FROM actions WHERE status <> 'done'",
    "decisions": "SELECT t.id FROM tasks t LEFT JOIN decisions d ON d.task_id = t.id "
    "GROUP BY t.id HAVING count(d) <> 1",
    "memories": "SELECT t.id FROM tasks t LEFT JOIN memories m ON m.task_id = t.id GROUP BY t.id HAVING count(m) <> 1",
}
TAKE = text(
    "UPDATE tasks SET lease_owner = :owner, lease_until = now() + interval '60 seconds', fence = fence + 1, "
    "status = 'running', parked_at = NULL WHERE id = :id AND due RETURNING fence"
)
PAYLOAD = {"Seniority": 15, "Home": "owner", "Time": 36, "Records": "no", "Job": "fixed", "Expenses": 60}
PAYLOAD |= {"Income": 400, "Assets": 6000, "Debt": 0, "Amount": 3000, "Price": 6000}


@pytest.fixture
async def workers(dsn: str, tmp_path: Path) -> AsyncIterator[tuple[Runtime, Runtime]]:
    """Two runtimes with pools of their own, on tables without tasks."""
    with psycopg.connect(dsn) as connection:
        connection.execute("TRUNCATE checkpoints, checkpoint_blobs, checkpoint_writes")
    settings = Settings(home=tmp_path / "a", database_url=dsn, worker_concurrency=AT_ONCE)
    async with (
        open_runtime(settings) as one,
        open_runtime(settings.model_copy(update={"home": tmp_path / "b"})) as other,
    ):
        yield one, other


class Overtaken(FencedSaver):
    """Says when it is about to write."""

    about_to_write: Callable[[], Awaitable[None]]

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        await self.about_to_write()
        return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self.about_to_write()
        await super().aput_writes(config, writes, task_id, task_path)


class Unfenced(Overtaken):
    """Writes as LangGraph alone does."""

    async def _write(self, *_: Any) -> None:
        raise AssertionError("the plain saver is asked")

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        await self.about_to_write()
        return await AsyncPostgresSaver.aput(self, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await AsyncPostgresSaver.aput_writes(self, config, writes, task_id, task_path)


async def _ready(runtime: Runtime) -> str:
    """A task that was parked for a person, answered, and is due again."""
    kind = runtime.catalog.task_type("credit_review")
    task_id = (await submit_task(runtime.engine, kind, PAYLOAD, principal="ann", lane=Lane.DIRECT)).task_id
    lease = await _take(runtime, task_id, "before")
    assert await run_task(runtime, lease, DIRECT, runtime.graphs()) is TaskStatus.PARKED
    await inbox.approve(runtime.engine, task_id, principal="boss", reason="seen", action=None, digest=None)
    return task_id


async def _take(runtime: Runtime, task_id: str, owner: str) -> Lease:
    """The task's lease, whoever holds it and whatever is written just now: as if its time had run out."""
    async with runtime.engine.begin() as connection:
        fence = (await connection.execute(TAKE, {"owner": owner, "id": task_id})).scalar_one()
    return Lease(task_id=task_id, owner=owner, fence=fence)


async def _overtake(workers: tuple[Runtime, Runtime], task_id: str, point: int) -> tuple[object, object]:
    """What the two came to: the second takes over before the first's write number `point`, or before it starts."""
    first, second = workers
    lease = await _take(first, task_id, "first")
    runs: list[asyncio.Task[TaskStatus]] = []
    writes = 0
    gate = asyncio.Lock()

    async def take_over() -> None:
        newer = await _take(second, task_id, "second")
        runs.append(asyncio.create_task(run_task(second, newer, DIRECT, second.graphs())))

    async def about_to_write() -> None:
        nonlocal writes
        # LangGraph keeps a node's writes in the background: none of them passes while the other one takes over.
        async with gate:
            writes += 1
            if writes == point:
                await take_over()

    if point == 0:
        await take_over()
    loser = asyncio.create_task(run_task(first, lease, DIRECT, _graphs(first, Overtaken, about_to_write)))
    (came_to,) = await asyncio.gather(loser, return_exceptions=True)
    assert runs, f"the run ended with {came_to!r} after {writes} writes, before number {point}"
    return came_to, await runs[0]


def _graphs(runtime: Runtime, kind: type[Overtaken], hook: Callable[[], Awaitable[None]]) -> Graphs:
    savers = kind(runtime.checkpoints), kind(runtime.checkpoints)
    for saver in savers:
        saver.about_to_write = hook
    return build_graphs(*savers)


def _wrong(dsn: str) -> dict[str, Any]:
    with psycopg.connect(dsn) as connection:
        found = {name: connection.execute(query).fetchall() for name, query in NOTHING_WRONG.items()}
    return {name: rows for name, rows in found.items() if rows}


async def test_two_runs_and_one_effect(dsn: str, workers: tuple[Runtime, Runtime]) -> None:
    at_once = asyncio.Semaphore(AT_ONCE)

    async def once(number: int) -> tuple[object, object]:
        async with at_once:
            return await _overtake(workers, await _ready(workers[0]), number % (POINTS + 1))

    ends = await asyncio.gather(*(once(number) for number in range(TIMES)))
    assert [lost for lost, _ in ends if not isinstance(lost, LeaseLost)] == []
    assert {won for _, won in ends} == {TaskStatus.DONE}
    assert _wrong(dsn) == {}


async def test_without_the_fence_the_thread_forks(dsn: str, workers: tuple[Runtime, Runtime]) -> None:
    """What the check above would find: the same race on LangGraph's own saver."""
    first, second = workers
    task_id = await _ready(first)
    lease = await _take(first, task_id, "first")
    ended: list[TaskStatus] = []

    async def about_to_write() -> None:
        if not ended:
            ended.append(TaskStatus.RUNNING)
            newer = await _take(second, task_id, "second")
            ended.append(await run_task(second, newer, DIRECT, second.graphs()))

    with pytest.raises(LeaseLost):
        await run_task(first, lease, DIRECT, _graphs(first, Unfenced, about_to_write))
    assert ended[-1] is TaskStatus.DONE
    with psycopg.connect(dsn) as connection:
        assert connection.execute(FORKS).fetchall()


@asynccontextmanager
async def _process(dsn: str, home: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    home.mkdir()
    env = {**os.environ, "DATABASE_URL": dsn, "PARLEY_STATE": str(home), "PARLEY_WORKER_CONCURRENCY": "2"}
    with (home / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.resuming", stdin=-1, stdout=-1, stderr=log, env=env, cwd=ROOT
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answer(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


def _tell(process: asyncio.subprocess.Process, lease: Lease) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{lease.task_id} {lease.fence}\n".encode())


async def test_two_processes(dsn: str, workers: tuple[Runtime, Runtime], tmp_path: Path) -> None:
    runtime = workers[0]
    losses = 0
    async with _process(dsn, tmp_path / "p") as first, _process(dsn, tmp_path / "q") as second:
        assert [await _answer(first), await _answer(second)] == ["ready", "ready"]
        for number in range(PROCESS_TIMES):
            task_id = await _ready(runtime)
            stale = await _take(runtime, task_id, "first")
            if number % 2:
                # It is at work already when the other one takes over.
                _tell(first, stale)
                await asyncio.sleep(number / 1000)
                newer = await _take(runtime, task_id, "second")
            else:
                newer = await _take(runtime, task_id, "second")
                _tell(first, stale)
            _tell(second, newer)
            assert await _answer(second) == f"{task_id} done"
            losses += await _answer(first) == f"{task_id} lost"
    assert losses == PROCESS_TIMES
    assert _wrong(dsn) == {}
