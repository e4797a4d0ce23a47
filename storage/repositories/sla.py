"""Deadlines of tasks as events: one when most of the time is used, one when it is over; database time, once each."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.audit import Chain, write_events

WARN_AT = 0.8
"""Share of its time after which a task is warned of."""
WARNED, BREACHED = "sla.warned", "sla.breached"
SAID = (WARNED, BREACHED, "deadline.passed", "approve.escalated", "approve.defaulted")
"""Events that say what a deadline led to."""

# What is parked for a person does not use up the task's time.
ENDS = "deadline_at + make_interval(secs => parked_seconds) + COALESCE(now() - parked_at, INTERVAL '0')"
NEAR = f"now() > {ENDS} - {1 - WARN_AT:.3f} * (deadline_at - created_at)"
_UNTOLD = "NOT EXISTS (SELECT FROM events e WHERE e.task_id = tasks.id AND e.key = '{event}')"
_FIND = (
    f"SELECT id, fence, {ENDS} AS ends FROM tasks WHERE status IN ('submitted', 'running', 'parked') AND {{past}} "
    "AND {untold} LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED"
)
_FOUND = {
    WARNED: text(_FIND.format(past=NEAR, untold=_UNTOLD.format(event="sla\\:warned"))),
    BREACHED: text(_FIND.format(past=f"now() > {ENDS}", untold=_UNTOLD.format(event="sla\\:breached"))),
}


async def tell_deadlines(connection: AsyncConnection) -> int:
    """Write the events that are due and not written; returns how many. What is locked has its turn the next time."""
    told = 0
    for event, statement in _FOUND.items():
        rows = (await connection.execute(statement)).all()
        found = [
            (Chain(row.id, fence=row.fence, actor="recover"), key_of(event), event, {"ends_at": row.ends.isoformat()})
            for row in rows
        ]
        await write_events(connection, found)
        told += len(found)
    return told


def key_of(event: str) -> str:
    """The key that lets it be written once."""
    return event.replace(".", ":")


def untold(said: Sequence[Mapping[str, Any]], *, near: bool, over: bool) -> tuple[str, ...]:
    """Which of the two a task that ends now has not been told of."""
    events = {one["event"] for one in said}
    return tuple(event for event, due in ((WARNED, near), (BREACHED, over)) if due and event not in events)
