"""Submitting is an insert: validated, keyed, and told to the workers."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from catalog.cases import BadLine, CaseFile
from catalog.payloads import check_payload
from domain.canonical import digest
from domain.errors import CaseFileError, IdempotencyConflict
from domain.model import Frozen
from domain.task import Lane
from domain.task_type import TaskType
from storage.audit import Chain, write_events
from storage.leases import CHANNEL
from storage.tables import batches, tasks


class Submitted(Frozen):
    """A task that stands in its table."""

    task_id: str
    existed: bool
    """It was there already, under the same key and with the same body."""


class SubmittedBatch(Frozen):
    """The tasks of a batch, in the order of their cases."""

    batch_id: str
    task_ids: tuple[str, ...]
    bad: tuple[BadLine, ...]


async def submit_task(
    engine: AsyncEngine,
    task_type: TaskType,
    payload: object,
    *,
    principal: str,
    lane: Lane,
    seed: int = 0,
    priority: int = 0,
    idempotency_key: str | None = None,
    memory_as_of: datetime | None = None,
) -> Submitted:
    """Insert one task. Raises PayloadError, or IdempotencyConflict where the key had another body."""
    checked = check_payload(task_type, payload)
    async with engine.begin() as connection:
        now = (await connection.execute(select(func.now()))).scalar_one()
        row = _row(
            task_type, checked, principal=principal, lane=lane, seed=seed, priority=priority, key=idempotency_key
        )
        row.update(memory_as_of=memory_as_of or now, deadline_at=now + task_type.sla.deadline)
        submitted = await _insert(connection, [row])
        await connection.execute(text(f"NOTIFY {CHANNEL}"))
    return submitted[0]


async def submit_cases(
    engine: AsyncEngine,
    task_type: TaskType,
    cases: CaseFile,
    *,
    source: str,
    principal: str,
    lane: Lane,
    seed: int = 0,
    priority: int = 0,
    batch_id: str | None = None,
) -> SubmittedBatch:
    """Insert a batch in one transaction; its tasks share one `memory_as_of`.

    The same `batch_id` again inserts only what is missing. Raises CaseFileError where no case is usable.
    """
    if not cases.cases:
        raise CaseFileError(f"{source}: no usable case ({len(cases.bad)} bad lines)")
    batch = batch_id or str(uuid.uuid4())
    async with engine.begin() as connection:
        record = {
            "id": batch,
            "task_type": task_type.name,
            "source": source,
            "principal": principal,
            "lane": lane.value,
            "rows": len(cases.cases),
            "bad": [line.model_dump() for line in cases.bad],
        }
        await connection.execute(insert(batches).values(record).on_conflict_do_nothing())
        as_of = (await connection.execute(select(batches.c.memory_as_of).where(batches.c.id == batch))).scalar_one()
        rows = []
        for case in cases.cases:
            key = f"{batch}:{case.key}"
            row = _row(task_type, case.payload, principal=principal, lane=lane, seed=seed, priority=priority, key=key)
            row.update(batch_id=batch, case_key=case.key, memory_as_of=as_of)
            row["deadline_at"] = as_of + task_type.sla.deadline
            rows.append(row)
        submitted = await _insert(connection, rows)
        await connection.execute(text(f"NOTIFY {CHANNEL}"))
    return SubmittedBatch(batch_id=batch, task_ids=tuple(one.task_id for one in submitted), bad=cases.bad)


async def batch_progress(engine: AsyncEngine, batch_id: str) -> dict[str, int]:
    """How many of the batch's tasks stand in each status."""
    statement = select(tasks.c.status, func.count()).where(tasks.c.batch_id == batch_id).group_by(tasks.c.status)
    async with engine.connect() as connection:
        return {row[0]: int(row[1]) for row in await connection.execute(statement)}


def _row(
    task_type: TaskType,
    payload: dict[str, Any],
    *,
    principal: str,
    lane: Lane,
    seed: int,
    priority: int,
    key: str | None,
) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "task_type": task_type.name,
        "type_version": task_type.version,
        "payload": payload,
        "request_hash": digest([task_type.name, payload]),
        "idempotency_key": key,
        "principal": principal,
        "lane": lane.value,
        "status": "submitted",
        "seed": seed,
        "priority": priority,
        "batch_id": None,
        "case_key": None,
    }


async def _insert(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> list[Submitted]:
    await connection.execute(insert(tasks).on_conflict_do_nothing(), list(rows))
    keys = [row["idempotency_key"] for row in rows if row["idempotency_key"] is not None]
    where = (tasks.c.principal == rows[0]["principal"], tasks.c.idempotency_key.in_(keys))
    statement = select(tasks.c.idempotency_key, tasks.c.id, tasks.c.request_hash).where(*where)
    standing = {row[0]: row for row in (await connection.execute(statement)).all()} if keys else {}
    submitted = []
    for row in rows:
        found = standing.get(row["idempotency_key"])
        if found is not None and found.request_hash != row["request_hash"]:
            raise IdempotencyConflict(
                f"idempotency key {row['idempotency_key']!r}: task {found.id} holds it with another body; "
                "send the same body or another key"
            )
        standing_id = found.id if found is not None else row["id"]
        submitted.append(Submitted(task_id=standing_id, existed=standing_id != row["id"]))
    made = [row for row, one in zip(rows, submitted, strict=True) if not one.existed]
    await write_events(connection, [_told(row) for row in made])
    return submitted


def _told(row: dict[str, Any]) -> tuple[Chain, str, str, dict[str, Any]]:
    """The event that begins a task's audit chain; it speaks for the payload by its hash, and for the row."""
    chain = Chain(row["id"], fence=0, actor=row["principal"])
    chain.state("submitted", {**row, "forked_from": None, "fork_stage": None, "dry_run": False})
    names = ("task_type", "type_version", "request_hash", "principal", "lane", "seed", "priority", "batch_id")
    return chain, "submit", "task.submitted", {name: row[name] for name in names}
