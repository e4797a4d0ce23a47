"""What a direct run wrote, stage by stage, so that a baseline can write the very same rows under another task id."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.approval_tables import notices
from storage.tables import (
    actions,
    approvals,
    decisions,
    events,
    memories,
    proposals,
    records,
    snapshots,
    subtasks,
    tasks,
    telemetry,
    verdicts,
)

Row = dict[str, Any]
_TABLES = (
    subtasks,
    verdicts,
    snapshots,
    proposals,
    telemetry,
    decisions,
    approvals,
    notices,
    actions,
    records,
    memories,
    events,
)
_STAGES = {
    subtasks: "plan",
    approvals: "approve",
    notices: "approve",
    actions: "execute",
    records: "execute",
    memories: "consolidate",
}
# Given by the database, as they were for the run.
_GIVEN = frozenset({"seq", "at", "created_at"})
_END = ("status", "answer", "summary", "reason", "ended_at", "escalated")


@dataclass(frozen=True)
class Step:
    """One node: its name, and the rows that it writes."""

    name: str
    inserts: tuple[tuple[Table, tuple[Row, ...]], ...]
    change: Row
    """What it changes in the task's row."""


@dataclass(frozen=True)
class Script:
    """One task: its row, and its steps in the order in which they ran."""

    task: Row
    steps: tuple[Step, ...]


async def record(engine: AsyncEngine, task_ids: Sequence[str]) -> list[Script]:
    """The scripts of these tasks, in their order."""
    async with engine.connect() as connection:
        found = await _rows(connection, tasks, tasks.c.id.in_(task_ids))
        kept: dict[str, dict[str, dict[Table, list[Row]]]] = {task_id: {} for task_id in task_ids}
        for table in _TABLES:
            for row in await _rows(connection, table, table.c.task_id.in_(task_ids)):
                steps = kept[row["task_id"]]
                steps.setdefault(_step_of(table, row), {}).setdefault(table, []).append(row)
    by_id = {row["id"]: row for row in found}
    return [_script(by_id[task_id], kept[task_id]) for task_id in task_ids]


async def _rows(connection: AsyncConnection, table: Table, where: Any) -> list[Row]:
    return [dict(row) for row in (await connection.execute(select(table).where(where))).mappings()]


def _step_of(table: Table, row: Row) -> str:
    if table in _STAGES:
        return str(_STAGES[table])
    if table in (snapshots, proposals, telemetry):
        return f"negotiate:{row['round']}"
    if table is decisions:
        return f"negotiate:{row['rounds'] - 1}"
    head, _, rest = row["key"].partition(":")
    if head in ("negotiate", "proposal"):
        return f"negotiate:{rest.split(':')[1]}"
    return {"response": "execute"}.get(head, str(head))


def _script(task: Row, found: dict[str, dict[Table, list[Row]]]) -> Script:
    rounds = sorted(name for name in found if name.startswith("negotiate:"))
    order = ("intake", "plan", "dispatch", *rounds, "guard", "approve", "execute", "consolidate", "report")
    changes = {
        "intake": {"status": "running", "started_at": task["started_at"]},
        "plan": {"plan": task["plan"]},
        "report": {name: task[name] for name in _END},
    }
    steps = tuple(
        Step(
            name=name.partition(":")[0],
            inserts=tuple((table, tuple(rows)) for table, rows in found.get(name, {}).items()),
            change=changes.get(name, {}),
        )
        for name in order
        if name in found or name == "dispatch"
    )
    return Script(task=task, steps=steps)


async def stand_in(engine: AsyncEngine, scripts: Sequence[Script]) -> dict[str, Script]:
    """A new task for each script, which no worker will claim; returns the scripts by the new tasks' ids."""
    made = {str(uuid.uuid4()): script for script in scripts}
    fresh: Row = {"status": "submitted", "due": False, "idempotency_key": None, "batch_id": None, "case_key": None}
    empty = dict.fromkeys(("plan", "summary", "answer", "reason", "started_at", "ended_at", "parked_at"))
    rows = [{**script.task, **fresh, **empty, "id": task_id} for task_id, script in made.items()]
    async with engine.begin() as connection:
        await connection.execute(insert(tasks), rows)
    return made


async def play(engine: AsyncEngine, task_id: str, step: Step) -> None:
    """Write the step's rows in one transaction."""
    if not step.inserts and not step.change:
        return
    async with engine.begin() as connection:
        for table, rows in step.inserts:
            await connection.execute(insert(table), [_own(table, row, task_id) for row in rows])
        if step.change:
            await connection.execute(update(tasks).where(tasks.c.id == task_id).values(step.change))


def _own(table: Table, row: Row, task_id: str) -> Row:
    own = {name: value for name, value in row.items() if name not in _GIVEN} | {"task_id": task_id}
    if "idempotency_key" in own:
        own["idempotency_key"] = f"{task_id}/{table.name}"
    if table is notices:
        own["key"] = f"{task_id}-{table.name}"
    if table in (memories, approvals):
        own["id"] = f"{task_id}-{table.name}"
    return own
