"""Who may move a task: one lease in its row, taken with a new fence, in database time only."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.approval import QUESTIONS
from domain.faults import reach
from domain.model import Frozen
from domain.task import Lane, Lease
from storage.audit import write_event

CHANNEL = "parley_tasks"

MAX_CRASHES = 3
"""A task whose runs killed their worker so often in a row, without getting on, is poison."""

# A run gets on where it leaves an event of its own; those of people carry the same fence.
_GOT_ON = (
    "EXISTS (SELECT FROM events e WHERE e.task_id = tasks.id AND e.fence = tasks.fence "
    "AND e.event <> 'approve.answered' AND e.event NOT LIKE 'control.%')"
)
POISON = f"lease_owner IS NOT NULL AND crashes >= {MAX_CRASHES - 1} AND NOT {_GOT_ON}"
"""Of a task whose lease ran out: that this was the last crash it may have."""

_TAKE = """
UPDATE tasks SET lease_owner = :owner, lease_until = now() + make_interval(secs => :seconds), fence = fence + 1,
  status = 'running', started_at = COALESCE(started_at, now()),
  parked_seconds = parked_seconds + COALESCE(EXTRACT(EPOCH FROM now() - parked_at), 0), parked_at = NULL,
  crashes = CASE WHEN lease_owner IS NULL THEN 0 WHEN {got_on} THEN 1 ELSE crashes + 1 END
WHERE id IN ({chosen}) RETURNING id, fence, lane
"""
_FREE = f"due AND (lease_until IS NULL OR lease_until < now()) AND NOT ({POISON})"
_NEXT = text(
    _TAKE.format(
        got_on=_GOT_ON,
        chosen=f"SELECT id FROM tasks WHERE {_FREE} AND lane = ANY(:lanes) "
        "ORDER BY priority DESC, created_at LIMIT :limit FOR UPDATE SKIP LOCKED",
    )
)
_ONE = text(
    _TAKE.format(got_on=_GOT_ON, chosen=f"SELECT id FROM tasks WHERE id = :id AND {_FREE} FOR UPDATE SKIP LOCKED")
)
_PARK = text(
    "UPDATE tasks SET status = 'parked', parked_at = now(), lease_owner = NULL, lease_until = NULL, "
    # A cancel wakes; a pause holds back whatever came, and its end makes due.
    # Once it compensates, only an answer to what became of an action moves it.
    "due = (cancel_requested AND NOT EXISTS "
    "(SELECT 1 FROM events e WHERE e.task_id = tasks.id AND e.key = 'compensate:began')) OR EXISTS "
    "(SELECT 1 FROM approvals q WHERE q.task_id = tasks.id AND q.cause = ANY(:questions) AND q.status <> 'open' "
    "AND NOT q.consumed) OR (NOT pause_requested AND (CAST(:paused AS boolean) OR EXISTS "
    "(SELECT 1 FROM subtasks s WHERE s.task_id = tasks.id AND s.status = 'parked' AND NOT EXISTS "
    "(SELECT 1 FROM approvals a WHERE a.task_id = s.task_id AND a.subtask_id = s.subtask_id AND a.status = 'open')))) "
    "WHERE id = :id AND fence = :fence"
)
# A statement that waits for the row sees the other tables as they were before it waited: lock first, then look.
_LOCK = text("SELECT FROM tasks WHERE id = :id FOR NO KEY UPDATE")
_RELEASE = text(
    "UPDATE tasks SET lease_owner = NULL, lease_until = now() + make_interval(secs => :delay) "
    "WHERE id = :id AND fence = :fence"
)


class Claim(Frozen):
    """A lease together with the lane to run on."""

    lease: Lease
    lane: Lane


async def claim(
    engine: AsyncEngine, owner: str, *, seconds: int, limit: int, lanes: Sequence[Lane]
) -> tuple[Claim, ...]:
    """Take up to `limit` due tasks that nobody holds."""
    values = {"owner": owner, "seconds": seconds, "limit": limit, "lanes": [lane.value for lane in lanes]}
    async with engine.connect() as connection:
        # One statement is a transaction by itself.
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        rows = (await connection.execute(_NEXT, values)).all()
    return tuple(Claim(lease=Lease(task_id=row.id, owner=owner, fence=row.fence), lane=Lane(row.lane)) for row in rows)


async def claim_one(engine: AsyncEngine, owner: str, task_id: str, *, seconds: int) -> Claim | None:
    """Take this task if it is due and nobody holds it."""
    async with engine.begin() as connection:
        row = (await connection.execute(_ONE, {"owner": owner, "seconds": seconds, "id": task_id})).one_or_none()
    if row is None:
        return None
    return Claim(lease=Lease(task_id=row.id, owner=owner, fence=row.fence), lane=Lane(row.lane))


async def park(engine: AsyncEngine, lease: Lease, *, paused: bool = False) -> None:
    """Give the task back until a person answers; due at once where an answer came meanwhile.

    `paused`: it stopped for a pause, and is due at once where that has ended meanwhile.
    """
    reach("park:before")
    async with engine.begin() as connection:
        values = {"id": lease.task_id, "fence": lease.fence}
        await connection.execute(_LOCK, {"id": lease.task_id})
        parked = await connection.execute(_PARK, {**values, "paused": paused, "questions": sorted(QUESTIONS)})
        if paused and parked.rowcount:
            key = f"run:{lease.fence}:paused"
            await write_event(connection, lease.task_id, key, "run.paused", {}, fence=lease.fence, actor=lease.owner)
        reach("park:inside")
    reach("park:after")


async def release(engine: AsyncEngine, lease: Lease, *, delay: float = 0.0) -> None:
    """Give the task back to be tried again after `delay` seconds."""
    reach("release:before")
    async with engine.begin() as connection:
        await connection.execute(_RELEASE, {"id": lease.task_id, "fence": lease.fence, "delay": delay})
        reach("release:inside")
    reach("release:after")
