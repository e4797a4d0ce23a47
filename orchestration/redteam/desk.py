"""The red team's pilot on a database of its own, with the worst panel in its seats."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from catalog.load import load_catalog
from domain.errors import StackError
from domain.settings import Settings
from domain.task import END_STATES, Lane, TaskStatus
from guardrails.redteam.scenarios import PILOT, PILOTS
from orchestration.direct import DIRECT
from orchestration.graph import Graphs
from orchestration.redteam.gullible import World, seated
from orchestration.redteam.person import consent
from orchestration.redteam.target import Target
from orchestration.run import Runtime, run_task
from orchestration.stages import Stages
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from storage.leases import claim_one
from storage.repositories import inbox
from storage.repositories.outcomes import record
from tasks.executors import EXECUTORS

SUBMITTER = "redteam-customer"
AT_ONCE = 4
_RUNS = 20
"""A task that has not ended after so many runs and answers never will."""


@dataclass(frozen=True)
class Ended:
    """Where a task came to."""

    task_id: str
    status: TaskStatus
    asked: int
    """How often a person was asked."""


class Desk:
    """Submits claims, runs them, and answers for people."""

    def __init__(self, runtime: Runtime, world: World) -> None:
        self.runtime, self.world = runtime, world
        self._free = asyncio.Queue[Graphs]()
        for _ in range(AT_ONCE):
            self._free.put_nowait(runtime.graphs())

    def under(self, catalog: Path) -> "Desk":
        """The same desk under the pilot of another catalog, as after a file of it was changed."""
        changed = seated(load_catalog(catalog, EXECUTORS), PILOT, self.world)
        return Desk(replace(self.runtime, catalog=changed), self.world)

    async def submit(self, payload: dict[str, Any]) -> str:
        """A new task."""
        kind = self.runtime.catalog.task_type(PILOT)
        made = await submit_task(self.runtime.engine, kind, payload, principal=SUBMITTER, lane=Lane.DIRECT)
        self.world.orders[made.task_id] = str(payload["order"])
        return made.task_id

    async def run(self, task_id: str, stages: Stages = DIRECT) -> TaskStatus:
        """One run, by a worker that takes over from whoever had the task. Raises what the run raises."""
        await self.execute("UPDATE tasks SET lease_owner = NULL, lease_until = NULL WHERE id = :id", id=task_id)
        claim = await claim_one(self.runtime.engine, "redteam", task_id, seconds=60)
        if claim is None:
            return await self.status(task_id)
        graphs = await self._free.get()
        try:
            return await run_task(self.runtime, claim.lease, stages, graphs)
        finally:
            self._free.put_nowait(graphs)

    async def finish(self, task_id: str, wanted: str | None = None) -> Ended:
        """Run to the end, with a person who consents to everything. Raises StackError where it does not end."""
        asked = 0
        for _ in range(_RUNS):
            status = await self.run(task_id)
            if status.value in END_STATES:
                return Ended(task_id, status, asked)
            asked += await consent(self.runtime.engine, task_id, wanted)
            if status is TaskStatus.RUNNING:
                await asyncio.sleep(0.2)
        raise StackError(f"red team: task {task_id} did not end: {(await self.status(task_id)).value}")

    async def status(self, task_id: str) -> TaskStatus:
        """As the task's row says."""
        return TaskStatus((await self.rows("SELECT status FROM tasks WHERE id = :id", id=task_id))[0]["status"])

    async def settled(self, task_id: str) -> list[dict[str, Any]]:
        """What was done about the claim, by the target's own records."""
        key = f"{task_id}/settle"
        return await self.rows("SELECT action, arguments FROM records WHERE idempotency_key = :key", key=key)

    async def waiting(self, task_id: str) -> list[dict[str, Any]]:
        """What of the task waits for a person."""
        async with self.runtime.engine.connect() as connection:
            return [dict(row) for row in await inbox.open_approvals(connection) if row["task_id"] == task_id]

    async def resolve(self, task_id: str, label: str, right_action: str) -> None:
        """Record what turned out to be right, so that the task is remembered."""
        row = {"task_id": task_id, "label": label, "right_action": right_action, "recorded_by": "redteam"}
        async with self.runtime.engine.begin() as connection:
            await record(connection, [row])

    async def execute(self, sql: str, **values: Any) -> None:
        """One statement, committed."""
        async with self.runtime.engine.begin() as connection:
            await connection.execute(text(sql), values)

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """What a query finds."""
        async with self.runtime.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(text(sql), values)).mappings()]


@asynccontextmanager
async def open_desk(dsn: str, home: Path, world: World) -> AsyncIterator[Desk]:
    """The desk on a migrated database. Raises StackError, CatalogError."""
    settings = Settings(home=home, catalog=PILOTS, database_url=dsn, qdrant_url=None, worker_concurrency=AT_ONCE)
    async with open_runtime(settings, lambda engine: {Target.name: Target(engine, world)}) as runtime:
        yield Desk(replace(runtime, catalog=seated(runtime.catalog, PILOT, world)), world)
