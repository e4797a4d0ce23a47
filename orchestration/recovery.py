"""What a dead worker, a missed deadline or a failed run left behind."""

from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.task import Lease
from storage.audit import write_event
from storage.leases import MAX_CRASHES, POISON, PROGRESS, release
from storage.repositories.approvals import close_approvals, wake_overdue
from storage.repositories.chains import ended_rows
from storage.repositories.escalation import escalate_due
from storage.repositories.sla import tell_deadlines
from tasks.policy import is_transient

MAX_RUN_FAILURES = 5
"""A task whose runs fail so often in a row, without getting on, is quarantined, never retried for ever."""

OUTAGE_WAIT_SECONDS = 5.0

_LOCK_MINE = text("SELECT FROM tasks WHERE id = :id AND fence = :fence AND ended_at IS NULL FOR NO KEY UPDATE")
# A run that got on and then failed is the first of a new row.
_FAILURES = text(
    "SELECT count(*) FROM events f WHERE f.task_id = :id AND f.event = 'run.failed' AND f.fence >= "
    f"COALESCE((SELECT max(e.fence) FROM events e WHERE e.task_id = :id AND {PROGRESS}), 0)"
)
_PUT_AWAY = text(
    "UPDATE tasks SET status = 'quarantined', reason = :reason, due = false, ended_at = now(), "
    "lease_owner = NULL, lease_until = NULL WHERE id = :id"
)
# With a new fence: whoever still runs it is refused.
_POISONED = text(
    "UPDATE tasks SET status = 'quarantined', reason = :reason, due = false, ended_at = now(), crashes = crashes + 1, "
    "fence = fence + 1, lease_owner = NULL, lease_until = NULL WHERE id IN (SELECT id FROM tasks "
    f"WHERE due AND lease_until < now() AND {POISON} FOR UPDATE SKIP LOCKED) RETURNING id, fence"
)


async def recover(engine: AsyncEngine) -> int:
    """Make overdue approvals' tasks due, and count them with the tasks whose lease ran out.

    A lease that ran out needs no mending: its task is claimable. Counting tells a worker to look at once. A request
    whose role has had its time goes on to the next role.
    """
    async with engine.begin() as connection:
        await _quarantine(connection)
        woken = await wake_overdue(connection)
        await escalate_due(connection)
        await tell_deadlines(connection)
        orphaned = await connection.scalar(
            text("SELECT count(*) FROM tasks WHERE due AND status = 'running' AND lease_until < now()")
        )
    return woken + int(orphaned or 0)


async def _quarantine(connection: AsyncConnection) -> None:
    """Put away what killed its workers: it is never claimed again."""
    reason = f"its runs killed their worker {MAX_CRASHES} times in a row"
    for row in (await connection.execute(_POISONED, {"reason": reason})).all():
        await _tell_quarantine(connection, row.id, reason, fence=row.fence, actor="recover")


async def _tell_quarantine(connection: AsyncConnection, task_id: str, reason: str, **by: Any) -> None:
    """No run will take an answer any more, so nothing is asked any more."""
    await close_approvals(connection, task_id, questions_too=True)
    rows = await ended_rows(connection, task_id)
    await write_event(connection, task_id, "quarantine", "run.quarantined", {"reason": reason}, **by, rows=rows)


def is_outage(error: BaseException | None) -> bool:
    """Whether Postgres, Prefect or another server was away: that says nothing about the task."""
    while error is not None:
        if is_transient(error) or isinstance(error, httpx.TransportError):
            return True
        # The Prefect server answers so while its own Postgres is away.
        if isinstance(error, httpx.HTTPStatusError) and error.response.is_server_error:
            return True
        error = error.__cause__ or error.__context__
    return False


async def lock_mine(connection: AsyncConnection, lease: Lease) -> bool:
    """Lock the task's row, where it has not ended and no other run has taken it over."""
    found = await connection.execute(_LOCK_MINE, {"id": lease.task_id, "fence": lease.fence})
    return found.first() is not None


async def set_back(engine: AsyncEngine, lease: Lease, error: BaseException) -> None:
    """Try again later: soon after an outage, else after a growing wait; quarantine what keeps failing by itself.

    A task that has ended, or that another run has taken over, is left as it is.
    """
    if is_outage(error):
        await release(engine, lease, delay=OUTAGE_WAIT_SECONDS)
        return
    told, task = f"{type(error).__name__}: {error}"[:500], {"id": lease.task_id}
    by: Any = {"fence": lease.fence, "actor": lease.owner}
    async with engine.begin() as connection:
        if not await lock_mine(connection, lease):
            return
        await write_event(connection, lease.task_id, f"run:{lease.fence}:failed", "run.failed", {"error": told}, **by)
        failures = int(await connection.scalar(_FAILURES, task) or 1)
        if failures >= MAX_RUN_FAILURES:
            await connection.execute(_PUT_AWAY, {**task, "reason": told})
            await _tell_quarantine(connection, lease.task_id, told, **by)
            return
    await release(engine, lease, delay=float(2**failures))
