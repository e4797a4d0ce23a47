"""LangGraph's checkpoints in Postgres: fenced like every write of a run, on a pool that checks its connections."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from domain.errors import LeaseLost
from domain.task import Lease
from storage.roles import TAKE_ROLE
from storage.sessions import IDLE_SECONDS, alive, limits

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]

FRESH_SECONDS = 1.0
"""A connection that was found alive so lately is not asked again: a run borrows one some twenty times."""

_OPEN_SECONDS = 10.0

_alive: WeakKeyDictionary[AsyncConnection[Any], float] = WeakKeyDictionary()

# Not by its id, which has the time of the machine that made it: a clock that is behind must not bring back what was.
_NEWEST = (
    "WHERE thread_id = %s AND checkpoint_ns = %s "
    "ORDER BY CAST(metadata ->> 'step' AS int) DESC, checkpoint_id DESC LIMIT 1"
)
END = "status"
"""The channel of the task's graph that says how the task has ended: by then its thread is of no use to anybody."""
# The task's row is locked until the statement ends: a claim raises the fence before it or after it, never between the
# check and the write. Shared, so that the subtasks of one task do not wait for one another.
_OWNER = (
    "WITH owner AS MATERIALIZED (SELECT FROM tasks WHERE id = %(task)s AND fence = %(fence)s AND ended_at IS NULL "
    "FOR SHARE)"
)
_HELD = "SELECT EXISTS (SELECT FROM owner) AS held"
_CHECKPOINT = """
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
SELECT %(thread)s, %(ns)s, %(id)s, %(parent)s, %(checkpoint)s, %(metadata)s FROM owner
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata
"""
_BLOBS = """
INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
SELECT %(thread)s, %(ns)s, one.* FROM owner,
unnest(%(channels)s::text[], %(versions)s::text[], %(types)s::text[], %(blobs)s::bytea[]) AS one
ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
"""
_WRITES = """
INSERT INTO checkpoint_writes
  (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
SELECT %(thread)s, %(ns)s, %(id)s, %(node)s, %(path)s, one.* FROM owner,
unnest(%(places)s::int[], %(channels)s::text[], %(types)s::text[], %(blobs)s::bytea[]) AS one
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
"""
_OVERWRITE = "DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob"
_PUT = f"{_OWNER}, put AS ({_CHECKPOINT}) {_HELD}"
_PUT_WITH_BLOBS = f"{_OWNER}, put AS ({_CHECKPOINT}), blobs AS ({_BLOBS}) {_HELD}"
_ADD_WRITES = f"{_OWNER}, put AS ({_WRITES} DO NOTHING) {_HELD}"
_REPLACE_WRITES = f"{_OWNER}, put AS ({_WRITES} {_OVERWRITE}) {_HELD}"


def thread_of(lease: Lease, subtask_id: str | None = None) -> RunnableConfig:
    """The config of the task's graph, or of one of its subtasks', for a run under this lease."""
    thread = lease.task_id if subtask_id is None else f"{lease.task_id}/{subtask_id}"
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", "fence": lease.fence}}


class FencedSaver(AsyncPostgresSaver):
    """Refuses what a run writes once a newer fence stands or the task has ended; the fence comes with the run's config
    (`thread_of`).

    Each put is one statement that locks the task's row, checks the fence and writes: one exchange, one transaction.
    It writes the rows that AsyncPostgresSaver of the pinned version writes, in the tables that its `setup` makes; the
    fence stays in the checkpoint's metadata. Raises LeaseLost, and then nothing is written. What the node that ended
    the task leaves behind (`END`) is not kept: no run goes on from there.
    """

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that the config names, else the thread's last by its step."""
        if get_checkpoint_id(config):
            return await super().aget_tuple(config)
        place = config["configurable"]
        async with self._cursor() as cursor:
            values = place["thread_id"], place.get("checkpoint_ns", "")
            await cursor.execute(self.SELECT_SQL + _NEWEST, values, binary=True)
            row = await cursor.fetchone()
        return await self._load_checkpoint_tuple(row) if row is not None else None

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        place = config["configurable"]
        thread, ns = place["thread_id"], place["checkpoint_ns"]
        kept: RunnableConfig = {
            "configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": checkpoint["id"]}
        }
        if END in checkpoint["channel_values"]:
            return kept
        inline, apart = _divided(checkpoint["channel_values"])
        values: dict[str, Any] = {
            "thread": thread,
            "ns": ns,
            "id": checkpoint["id"],
            "parent": place.get("checkpoint_id"),
            "checkpoint": Jsonb({**checkpoint, "channel_values": inline}),
            "metadata": Jsonb(get_serializable_checkpoint_metadata(config, metadata)),
        }
        fresh = {name: version for name, version in new_versions.items() if name in apart}
        if fresh:
            rows = self._dump_blobs(thread, ns, apart, fresh)
            values |= zip(("channels", "versions", "types", "blobs"), _columns(rows, 2, 4), strict=True)
        await self._write(_PUT_WITH_BLOBS if fresh else _PUT, place, values)
        return kept

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep what a node wrote, until its step's checkpoint is there."""
        if any(channel == END for channel, _ in writes):
            return
        place = config["configurable"]
        replaced = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        if replaced:
            # One statement may not overwrite one row twice: the last write stands.
            writes = list(dict(writes).items())
        keys = place["thread_id"], place["checkpoint_ns"], place["checkpoint_id"]
        rows = self._dump_writes(*keys, task_id, task_path, writes)
        values: dict[str, Any] = dict(zip(("thread", "ns", "id"), keys, strict=True))
        values |= {"node": task_id, "path": task_path}
        values |= zip(("places", "channels", "types", "blobs"), _columns(rows, 5, 4), strict=True)
        await self._write(_REPLACE_WRITES if replaced else _ADD_WRITES, place, values)

    async def _write(self, statement: str, place: Mapping[str, Any], values: dict[str, Any]) -> None:
        task_id, fence = place["thread_id"].partition("/")[0], place.get("fence")
        async with self._cursor() as cursor:
            await cursor.execute(statement, {**values, "task": task_id, "fence": fence})
            row = await cursor.fetchone()
        if row is None or not row["held"]:
            raise LeaseLost(f"task {task_id}: fence {fence} is stale or it has ended, and its checkpoint is refused")


def _divided(channels: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the checkpoint's own row holds, and what goes to a row of its own for each version."""
    inline: dict[str, Any] = {}
    apart: dict[str, Any] = {}
    for name, value in channels.items():
        if isinstance(value, _DeltaSnapshot):
            inline[name], apart[name] = True, value
        elif value is None or isinstance(value, str | int | float | bool):
            inline[name] = value
        else:
            apart[name] = value
    return inline, apart


def _columns(rows: Sequence[tuple[Any, ...]], first: int, count: int) -> list[list[Any]]:
    """So many columns of the rows from `first` on, each as a list."""
    return [[row[first + place] for row in rows] for place in range(count)]


async def check(connection: AsyncConnection[Any]) -> None:
    """Ask whether the connection is alive; one that dies within the second fails its run, which is taken up again."""
    now = time.monotonic()
    if now - _alive.get(connection, float("-inf")) < FRESH_SECONDS:
        return
    await AsyncConnectionPool.check_connection(connection)
    _alive[connection] = now


async def open_pool(dsn: str, *, size: int = 12, idle_seconds: float = IDLE_SECONDS) -> Pool:
    """A checked pool, so that a restarted Postgres does not leave dead connections behind."""

    async def settle(connection: AsyncConnection[Any]) -> None:
        await connection.execute(limits(idle_seconds))
        await connection.execute(TAKE_ROLE)

    pool: Pool = AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        open=False,
        check=check,
        configure=settle,
        kwargs={**alive(dsn), "autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
    )
    await pool.open(wait=True, timeout=_OPEN_SECONDS)
    return pool


def saver(pool: Pool) -> FencedSaver:
    """A saver of its own: one saver locks inside, several on one pool do not wait for one another."""
    return FencedSaver(pool)
