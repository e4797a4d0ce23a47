"""Reading: tasks by page, one task whole, its explanation and its events."""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.services.erased import refuse_erased
from domain.errors import InputError, NotFound
from domain.proposal import Telemetry
from domain.task import TaskStatus
from negotiation.conflict import with_telemetry
from storage.repositories import listing
from storage.repositories.actions import actions_of
from storage.repositories.forks import forks_of
from storage.repositories.listing import Position, Row, TaskFilter

_AGO = re.compile(r"^(\d{1,6})([smhdw])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class TaskPage:
    """Some tasks, newest first, and where to go on."""

    tasks: Sequence[Row]
    next: str | None
    """Cursor of the next page; None at the end."""


@dataclass(frozen=True)
class EventPage:
    """Some events in order, and where to go on."""

    events: Sequence[Row]
    next: int | None
    """Sequence number to go on after; None at the end."""


async def list_tasks(engine: AsyncEngine, wanted: TaskFilter, cursor: str | None, limit: int) -> TaskPage:
    """One page of tasks. Raises InputError for an unknown status or a broken cursor."""
    if wanted.status is not None and wanted.status not in set(TaskStatus):
        raise InputError(f"--status {wanted.status}: no such status: one of {', '.join(TaskStatus)}")
    after = None if cursor is None else decode_cursor(cursor)
    async with engine.connect() as connection:
        found = await listing.list_tasks(connection, wanted, after, limit + 1)
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return TaskPage(page, None if last is None else encode_cursor(Position(last["created_at"], last["id"])))


def encode_cursor(position: Position) -> str:
    """A cursor that says where the page ended."""
    return base64.urlsafe_b64encode(f"{position.created_at.isoformat()} {position.id}".encode()).decode()


def decode_cursor(cursor: str) -> Position:
    """Where the page ended. Raises InputError."""
    try:
        at, _, task_id = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(" ")
        created_at = datetime.fromisoformat(at)
    except (binascii.Error, ValueError):
        raise InputError(f"--cursor {cursor}: not a cursor: give the `next` of the page before") from None
    if created_at.tzinfo is None or not task_id:
        raise InputError(f"--cursor {cursor}: not a cursor: give the `next` of the page before")
    return Position(created_at, task_id)


def parse_since(text: str, now: datetime | None = None, option: str = "--since") -> datetime:
    """A moment, from ISO 8601 (UTC unless it says otherwise) or an age such as 90m, 24h or 7d. Raises InputError."""
    ago = _AGO.match(text)
    try:
        if ago is not None:
            return (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InputError(f"{option} {text}: not a time: give 2026-01-31, 2026-01-31T12:00Z, or 90m, 24h, 7d") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


async def show_task(engine: AsyncEngine, task_id: str) -> dict[str, Any]:
    """The task's row and everything that hangs on it. Raises NotFound."""
    async with engine.connect() as connection:
        task = await listing.task(connection, task_id)
        if task is None:
            raise unknown_task(task_id)
        parts = await listing.parts(connection, task_id)
        made = await forks_of(connection, task_id)
    outcome = parts.pop("outcomes")
    return {"task": task, **parts, "forks": made, "outcome": outcome[0] if outcome else None}


async def explain_task(engine: AsyncEngine, task_id: str) -> Sequence[dict[str, Any]]:
    """Per decided subtask its explanation, in order, with what the personas of a conflict cost, and who acted.

    Raises NotFound when nothing was decided yet.
    """
    async with engine.connect() as connection:
        task = await listing.task(connection, task_id)
        if task is None:
            raise unknown_task(task_id)
        found = await listing.explained(connection, task_id)
        costs = await listing.costs(connection, task_id) if found else ()
        actions = await actions_of(connection, task_id) if found else ()
    refuse_erased(task)
    if not found:
        why = f" ({task['reason']})" if task["reason"] else ""
        raise NotFound(f"task {task_id} is {task['status']}{why} and has no decision: see `parley events {task_id}`")
    return [{**_explained(row, costs), "acted": _acted(row["subtask_id"], actions)} for row in found]


def _explained(row: Row, costs: Sequence[Row]) -> dict[str, Any]:
    """Telemetry differs from run to run, so a decision's record holds none: it is added as it is read."""
    subtask_id = row["subtask_id"]
    own = (Telemetry.model_validate(_cost(cost)) for cost in costs if cost["subtask_id"] == subtask_id)
    return {"subtask_id": subtask_id, "explanation": with_telemetry(row["body"]["explanation"], own)}


def _acted(subtask_id: str, actions: Iterable[RowMapping]) -> list[dict[str, Any]]:
    """What the subtask did and what undid it: the executor says where the fallback stood in."""
    names = ("step", "executor", "status", "attempts", "error")
    own = (row for row in actions if row["step"].partition(":")[0] == subtask_id)
    return [{name: row[name] for name in names} for row in own]


def _cost(row: Row) -> Row:
    return {name: value for name, value in row.items() if name in Telemetry.model_fields}


async def list_events(engine: AsyncEngine, task_id: str, after: int, limit: int) -> EventPage:
    """The task's events behind `after`. Raises NotFound."""
    async with engine.connect() as connection:
        found = await listing.list_events(connection, task_id, after, limit + 1)
        if not found and await listing.task(connection, task_id) is None:
            raise unknown_task(task_id)
    page = found[:limit]
    return EventPage(page, int(page[-1]["seq"]) if len(found) > limit else None)


def unknown_task(task_id: str) -> NotFound:
    """The error for a task that is not there."""
    return NotFound(f"there is no task {task_id}: list them with `parley tasks`")
