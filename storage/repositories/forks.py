"""Forks: a task's rows copied up to a stage under a new id."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.approval_tables import approval_answers
from storage.audit import write_event
from storage.leases import CHANNEL
from storage.repositories.chains import stated_rows
from storage.repositories.listing import Row
from storage.repositories.records import TaskRecords
from storage.tables import (
    approvals,
    decisions,
    proposals,
    snapshots,
    subtasks,
    tasks,
    telemetry,
    verdicts,
)

_SAME = ("task_type", "payload", "request_hash", "lane", "seed", "priority", "memory_as_of", "plan")
_ASKS = frozenset({"require_approval", "redact", "downgrade"})


@dataclass(frozen=True)
class Copy:
    """What is copied, and up to where."""

    source: str
    task_id: str
    principal: str
    stage: str
    subtask_id: str
    dry_run: bool
    deadline: timedelta
    type_version: int
    again: frozenset[str]
    """Subtasks that are done anew: the one named and all that depend on it."""

    @property
    def fork_stage(self) -> str:
        """As the task's row says it."""
        return f"{self.subtask_id}/{self.stage}"


def last_verdict(records: TaskRecords, subtask_id: str) -> Row | None:
    """The guard's last word on the subtask's action."""
    found = [one for one in records.verdicts if one["subtask_id"] == subtask_id and one["hop"] == "arguments"]
    return found[-1] if found else None


def asked(records: TaskRecords, subtask_id: str) -> bool:
    """Whether the subtask came to where a person is asked: undecided, or by the guard's first word."""
    row = records.decisions.get(subtask_id)
    if row is not None and row["option"] is None:
        return True
    first = next((one for one in records.verdicts if one["key"] == f"guard:{subtask_id}:first"), None)
    return first is not None and (first["effect"] in _ASKS or first["body"].get("overridable_by") is not None)


async def store(connection: AsyncConnection, copy: Copy, records: TaskRecords) -> None:
    """Write the fork, due at once, and an event in either task."""
    now = (await connection.execute(select(func.now()))).scalar_one()
    kept = {name: records.row[name] for name in _SAME}
    await connection.execute(
        insert(tasks).values(
            **kept,
            id=copy.task_id,
            type_version=copy.type_version,
            principal=copy.principal,
            status="submitted",
            deadline_at=now + copy.deadline,
            # As if it had been claimed once: its first run then takes what it finds as an earlier run's.
            fence=1,
            forked_from=copy.source,
            fork_stage=copy.fork_stage,
            dry_run=copy.dry_run,
        )
    )
    await _subtasks(connection, copy, records)
    spoken = await _negotiations(connection, copy, records)
    ids = await _approvals(connection, copy, records)
    await _verdicts(connection, copy, records, ids)
    told = {"stage": copy.fork_stage, "dry_run": copy.dry_run, "by": copy.principal}
    data = {**told, "from": copy.source, "request_hash": kept["request_hash"]}
    rows = await stated_rows(connection, copy.task_id)
    here: Any = {"fence": 1, "actor": copy.principal}
    await write_event(connection, copy.task_id, "fork", "fork.created", data, **here, rows=rows)
    for row in spoken:
        await write_event(connection, copy.task_id, **row, **here)
    there: Any = {"fence": records.row["fence"], "actor": copy.principal}
    made = {**told, "fork": copy.task_id}
    await write_event(connection, copy.source, f"fork:{copy.task_id}", "fork.created", made, **there)
    await connection.execute(text(f"NOTIFY {CHANNEL}"))


async def _subtasks(connection: AsyncConnection, copy: Copy, records: TaskRecords) -> None:
    rows = [
        {
            "task_id": copy.task_id,
            "subtask_id": row["subtask_id"],
            "status": "pending" if row["subtask_id"] in copy.again else row["status"],
            "action": None if row["subtask_id"] in copy.again else row["action"],
            "reason": None if row["subtask_id"] in copy.again else row["reason"],
            "created_at": row["created_at"],
            "ended_at": None if row["subtask_id"] in copy.again else row["ended_at"],
        }
        for row in records.subtasks
    ]
    for row in rows:
        if row["subtask_id"] == copy.subtask_id and copy.stage != "negotiate":
            row["status"] = "running"
    await connection.execute(insert(subtasks), rows)


def _copied(copy: Copy, subtask_id: str | None) -> bool:
    """Whether the subtask's negotiation is taken over."""
    return subtask_id not in copy.again or (subtask_id == copy.subtask_id and copy.stage != "negotiate")


async def _negotiations(connection: AsyncConnection, copy: Copy, records: TaskRecords) -> list[dict[str, Any]]:
    """Copy what was said and decided; returns the events that tell of it."""
    costs = [dict(row) for row in (await connection.execute(_costs(copy.source))).mappings()]
    decided = [
        {**row, "body": {**row["body"], "task_id": copy.task_id}}
        for name, row in records.decisions.items()
        if _copied(copy, name)
    ]
    held: tuple[tuple[Table, Iterable[Mapping[str, Any]]], ...] = (
        (snapshots, records.snapshots),
        (proposals, records.proposals),
        (telemetry, costs),
        (decisions, decided),
    )
    for table, found in held:
        rows = [{**row, "task_id": copy.task_id} for row in found if _copied(copy, row["subtask_id"])]
        if rows:
            await connection.execute(insert(table), rows)
    return [
        {name: row[name] for name in ("key", "event", "subtask_id", "data")}
        for row in records.events
        if row["key"].startswith("negotiate:")
        and not row["key"].endswith(":audit")
        and _copied(copy, row["subtask_id"])
    ]


def _costs(task_id: str) -> Any:
    return select(telemetry).where(telemetry.c.task_id == task_id)


async def _approvals(connection: AsyncConnection, copy: Copy, records: TaskRecords) -> dict[str, str]:
    """A person's answers that what is copied stands on; their ids: the source's -> the fork's."""
    stands = last_verdict(records, copy.subtask_id) if copy.stage == "execute" else None
    needed = {stands["body"].get("approval_id")} if stands else set()
    rows, ids = [], {}
    for row in records.approvals:
        if row["subtask_id"] in copy.again and row["id"] not in needed:
            continue
        ids[row["id"]] = str(uuid.uuid5(uuid.UUID(copy.task_id), f"{row['subtask_id']}:{row['digest']}"))
        rows.append({**row, "id": ids[row["id"]], "task_id": copy.task_id, "consumed": row["id"] not in needed})
    if rows:
        await connection.execute(insert(approvals), rows)
    given = [
        {**row, "approval_id": ids[row["approval_id"]], "task_id": copy.task_id}
        for row in records.answers
        if row["approval_id"] in ids
    ]
    if given:
        await connection.execute(insert(approval_answers), given)
    return ids


async def _verdicts(connection: AsyncConnection, copy: Copy, records: TaskRecords, ids: Mapping[str, str]) -> None:
    rows = []
    for row in records.verdicts:
        if not _stands(copy, records, row):
            continue
        was = row["body"].get("approval_id")
        now = ids.get(was) if was else None
        key = row["key"] if was is None else row["key"].replace(was, now or "first")
        rows.append({**row, "task_id": copy.task_id, "key": key, "body": {**row["body"], "approval_id": now}})
    if rows:
        await connection.execute(insert(verdicts), rows)


def _stands(copy: Copy, records: TaskRecords, row: Row) -> bool:
    name = row["subtask_id"]
    if name is None:
        return True
    if not _copied(copy, name):
        return False
    if name not in copy.again or row["hop"] in ("proposal", "retrieved"):
        return True
    if row["hop"] != "arguments" or copy.stage == "guard":
        return False
    last = last_verdict(records, name)
    chosen: Sequence[str] = [last["key"]] if copy.stage == "execute" and last else [f"guard:{name}:first"]
    return row["key"] in chosen


async def forks_of(connection: AsyncConnection, task_id: str) -> list[Row]:
    """The tasks forked from this one, oldest first."""
    columns = (tasks.c.id, tasks.c.fork_stage, tasks.c.dry_run, tasks.c.status, tasks.c.answer, tasks.c.created_at)
    query = select(*columns).where(tasks.c.forked_from == task_id).order_by(tasks.c.created_at, tasks.c.id)
    return [dict(row) for row in (await connection.execute(query)).mappings()]
