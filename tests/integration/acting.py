"""Task types whose subtasks act on a fake target, and ways to run them, to crash and to answer."""

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import text

from control_plane.services import inbox
from domain import faults
from domain.settings import Settings
from domain.task import Lane, TaskStatus
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from storage.leases import claim_one
from tests.integration.five_subtasks import CLAIM, write_claims


class Crash(Exception):
    """Stands for a process that dies at a kill point; `make faults` does it with SIGKILL."""


@contextmanager
def crash_at(point: str, time: int = 1) -> Iterator[list[str]]:
    """Raise at the point, the given time it is reached; graphs made inside are watched."""
    reached: list[str] = []

    def die(here: str) -> None:
        reached.append(here)
        if here == point and reached.count(point) == time:
            raise Crash(point)

    faults.watch(die)
    try:
        yield reached
    finally:
        faults.watch(None)


def write_steps(root: Path, steps: dict[str, dict[str, Any]], **task_type: Any) -> Path:
    """The claims pilot with these subtasks, one after the other; each decides for `covered`."""
    catalog = write_claims(root)
    file = catalog / "claim" / "task_type.yaml"
    value = yaml.safe_load(file.read_text())
    pattern = value["plan"]["subtasks"][0]
    before: list[str] = []
    subtasks = []
    for name, more in steps.items():
        subtasks.append({**pattern, "id": name, "depends_on": before, "executor": "webhook", **more})
        before = [name]
    value["plan"]["subtasks"], value["answer"] = subtasks, next(iter(steps))
    file.write_text(yaml.safe_dump({**value, **task_type}))
    return catalog


class Acting:
    """One runtime, and what the tests do with it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def submit(self) -> str:
        kind = self.runtime.catalog.task_type("claim")
        return (await submit_task(self.runtime.engine, kind, CLAIM, principal="ann", lane=Lane.DIRECT)).task_id

    async def run(self, task_id: str) -> TaskStatus:
        """One run by a worker that takes over from whoever died or waits."""
        await self.execute("UPDATE tasks SET lease_owner = NULL, lease_until = NULL WHERE id = :id", task_id)
        claim = await claim_one(self.runtime.engine, "test", task_id, seconds=30)
        assert claim is not None
        return await run_task(self.runtime, claim.lease, DIRECT, self.runtime.graphs())

    async def run_on(self, task_id: str, seconds: float = 15.0) -> TaskStatus:
        """Run until it ends or is parked."""
        async with asyncio.timeout(seconds):
            while (status := await self.run(task_id)) is TaskStatus.RUNNING:
                await asyncio.sleep(0.2)
        return status

    async def answer(self, task_id: str, what: str) -> None:
        await inbox.approve(self.runtime.engine, task_id, principal="bob", reason="looked", action=what, digest=None)

    async def execute(self, sql: str, task_id: str) -> None:
        async with self.runtime.engine.begin() as connection:
            await connection.execute(text(sql), {"id": task_id})

    async def rows(self, sql: str, task_id: str) -> list[tuple[Any, ...]]:
        async with self.runtime.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(sql), {"id": task_id})]

    async def actions(self, task_id: str) -> dict[str, tuple[str, int]]:
        rows = await self.rows("SELECT subtask_id, status, attempts FROM actions WHERE task_id = :id", task_id)
        return {step: (status, attempts) for step, status, attempts in rows}

    async def events(self, task_id: str, like: str) -> list[str]:
        sql = f"SELECT event FROM events WHERE task_id = :id AND event LIKE '{like}' ORDER BY seq"
        return [row[0] for row in await self.rows(sql, task_id)]


@asynccontextmanager
async def acting(settings: Settings, catalog: Path) -> Any:
    async with open_runtime(settings.model_copy(update={"catalog": catalog})) as runtime:
        yield Acting(runtime)
