"""What a dead worker, a missed deadline or a failed run left behind."""

from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.task import Lease
from storage.audit import write_event
from storage.leases import MAX_CRASHES, POISON, release
from storage.repositories.approvals import close_approvals, wake_overdue
from storage.repositories.chains import ended_rows
from storage.repositories.sla import tell_deadlines
from tasks.policy import is_transient

MAX_RUN_FAILURES = 5
"""A task whose runs fail this often is quarantined, never retried for ever."""

OUTAGE_WAIT_SECONDS = 5.0

_LOCK = text("SELECT FROM tasks WHERE id = :id FOR NO KEY UPDATE")


# With a new fence: whoever still runs it is refused.
_POISONED = text(
    "UPDATE tasks SET status = 'quarantined', reason = :reason, due = false, ended_at = now(), crashes = crashes + 1, "
    "fence = fence + 1, lease_owner = NULL, lease_until = NULL WHERE id IN (SELECT id FROM tasks "
    f"WHERE due AND lease_until < now() AND {POISON} FOR UPDATE SKIP LOCKED) RETURNING id, fence"
)


async def recover(engine: AsyncEngine) -> int:
    """Make overdue approvals' tasks due, and count them with the tasks whose lease ran out.

    A lease that ran out needs no mending: its task is claimable. Counting tells a worker to look at once.
    """
    async with engine.begin() as connection:
        await _quarantine(connection)
        woken = await wake_overdue(connection)
        await tell_deadlines(connection)
        orphaned = await connection.scalar(
            text("SELECT count(*) FROM tasks WHERE due AND status = 'running' AND lease_until < now()")
        )
    return woken + int(orphaned or 0)


async def _quarantine(connection: AsyncConnection) -> None:
    """Put away what killed its workers: it is never claimed again."""
    reason = f"its runs killed their worker {MAX_CRASHES} times in a row"
    for row in (await connection.execute(_POISONED, {"reason": reason})).all():
        by: Any = {"fence": row.fence, "actor": "recover", "rows": await ended_rows(connection, row.id)}
        await write_event(connection, row.id, "quarantine", "run.quarantined", {"reason": reason}, **by)
        await close_approvals(connection, row.id)


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


async def set_back(engine: AsyncEngine, lease: Lease, error: BaseException) -> None:
    """Try again later: soon after an outage, else after a growing wait; quarantine what keeps failing by itself."""
    if is_outage(error):
        await release(engine, lease, delay=OUTAGE_WAIT_SECONDS)
        return
    told = f"{type(error).__name__}: {error}"[:500]
    async with engine.begin() as connection:
        await connection.execute(_LOCK, {"id": lease.task_id})
        by: Any = {"fence": lease.fence, "actor": lease.owner}
        await write_event(connection, lease.task_id, f"run:{lease.fence}:failed", "run.failed", {"error": told}, **by)
        failures = await connection.scalar(
            text("SELECT count(*) FROM events WHERE task_id = :task AND event = 'run.failed'"), {"task": lease.task_id}
        )
        if int(failures or 0) >= MAX_RUN_FAILURES:
            await connection.execute(
                text(
                    "UPDATE tasks SET status = 'quarantined', reason = :reason, due = false, ended_at = now(), "
                    "lease_owner = NULL, lease_until = NULL WHERE id = :task AND fence = :fence"
                ),
                {"reason": told, "task": lease.task_id, "fence": lease.fence},
            )
            by["rows"] = await ended_rows(connection, lease.task_id)
            await write_event(connection, lease.task_id, "quarantine", "run.quarantined", {"reason": told}, **by)
            return
    await release(engine, lease, delay=float(2 ** int(failures or 1)))
