"""Cancelling, pausing and resuming: flags in the task's row, each set under its lock with an event."""

from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.model import Frozen
from domain.task import TaskStatus
from storage.audit import next_key, write_event
from storage.leases import CHANNEL


class Control(StrEnum):
    """What can be asked of a task."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


class Standing(Frozen):
    """A task as control finds it, its row locked."""

    status: TaskStatus
    fence: int
    cancel_requested: bool
    pause_requested: bool
    held: bool
    """Whether a worker's lease on it runs."""


# Not now(): the transaction may have waited for the row's lock.
_LOCK = text(
    "SELECT status, fence, cancel_requested, pause_requested, "
    "lease_owner IS NOT NULL AND lease_until >= clock_timestamp() AS held FROM tasks WHERE id = :id FOR NO KEY UPDATE"
)
# Whoever waits for its turn after a failed run waits no longer.
_WAKE = "due = true, lease_until = CASE WHEN lease_owner IS NOT NULL THEN lease_until END"
_CHANGES = {
    Control.CANCEL: text(f"UPDATE tasks SET cancel_requested = true, {_WAKE} WHERE id = :id"),
    # What no worker holds is parked at once; a run that goes on parks it by itself.
    Control.PAUSE: text(
        "UPDATE tasks SET pause_requested = true, due = due AND :held, "
        "status = CASE WHEN :held THEN status ELSE 'parked' END, "
        "parked_at = CASE WHEN :held THEN parked_at ELSE COALESCE(parked_at, clock_timestamp()) END, "
        "lease_owner = CASE WHEN :held THEN lease_owner END, lease_until = CASE WHEN :held THEN lease_until END "
        "WHERE id = :id"
    ),
    Control.RESUME: text(f"UPDATE tasks SET pause_requested = false, {_WAKE} WHERE id = :id"),
}
CANCELLED = (
    "SELECT id, fence FROM tasks WHERE lease_owner = {owner} AND cancel_requested AND NOT EXISTS "
    "(SELECT FROM events e WHERE e.task_id = tasks.id AND e.key = 'compensate:began')"
)
"""What an owner of leases still runs though it was cancelled; once it undoes what it did, it is not stopped."""
_CANCELLED = text(CANCELLED.format(owner=":owner"))


async def lock_standing(connection: AsyncConnection, task_id: str) -> Standing | None:
    """Lock the task's row and say how it stands; None where there is no such task."""
    row = (await connection.execute(_LOCK, {"id": task_id})).mappings().one_or_none()
    return Standing.model_validate(dict(row)) if row else None


async def change(
    connection: AsyncConnection, task_id: str, standing: Standing, control: Control, *, principal: str, reason: str
) -> None:
    """Set the flag, put it among the task's events, and call a worker."""
    values: dict[str, Any] = {"id": task_id}
    if control is Control.PAUSE:
        values["held"] = standing.held
    await connection.execute(_CHANGES[control], values)
    event = f"control.{control.value}"
    key = await next_key(connection, task_id, event)
    told = {"by": principal, "reason": reason}
    await write_event(connection, task_id, key, event, told, fence=standing.fence, actor=principal)
    # A payload tells the worker that runs it to look at what was cancelled.
    await connection.execute(text(f"NOTIFY {CHANNEL}, '{control.value}'"))


async def cancelled_of(connection: AsyncConnection, owner: str) -> frozenset[tuple[str, int]]:
    """The tasks under this owner's lease, with their fence, whose run has still to stop for a cancel."""
    return frozenset((row.id, row.fence) for row in await connection.execute(_CANCELLED, {"owner": owner}))
