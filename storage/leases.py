"""Who may move a task: one lease in its row, taken with a new fence, in database time only."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CursorResult, Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.approval import QUESTIONS
from domain.faults import reach
from domain.model import Frozen
from domain.task import Lane, Lease
from storage.audit import write_event

CHANNEL = "parley_tasks"

MAX_CRASHES = 3
"""A task whose runs killed their worker so often in a row, without getting on, is poison."""

PROGRESS = (
    "e.event <> ALL (ARRAY['approve.answered', 'approve.counted', 'approve.overridden', "
    "'approve.escalated', 'execute.fallback', 'execute.waits', 'compensate.waits']) "
    "AND e.event !~ '^(control|run|sla|prefect|breaker|outcome)[.]'"
)
"""That the event `e` tells of a run that got on: not what people and recovery write under the run's fence, nor what
every run may write again.
"""
_GOT_ON = f"EXISTS (SELECT FROM events e WHERE e.task_id = tasks.id AND e.fence = tasks.fence AND {PROGRESS})"
# Postgres itself was away when the lease ran out: nobody could renew it, and that tells nothing of its worker.
_NOBODY_COULD = "pg_postmaster_start_time() > lease_until"
POISON = f"lease_owner IS NOT NULL AND crashes >= {MAX_CRASHES - 1} AND NOT {_GOT_ON} AND NOT {_NOBODY_COULD}"
"""Of a task whose lease ran out: that this was the last crash it may have."""

_CRASHES = (
    f"crashes = CASE WHEN lease_owner IS NULL THEN 0 WHEN {_NOBODY_COULD} THEN crashes WHEN {_GOT_ON} THEN 1 "
    "ELSE crashes + 1 END"
)
_TAKE = """
WITH RECURSIVE {steps}chosen AS MATERIALIZED ({chosen})
UPDATE tasks SET lease_owner = :owner, lease_until = now() + make_interval(secs => :seconds), fence = fence + 1,
  status = 'running', started_at = COALESCE(started_at, now()),
  parked_seconds = parked_seconds + COALESCE(EXTRACT(EPOCH FROM now() - parked_at), 0), parked_at = NULL,
  {crashes}
WHERE id IN (SELECT id FROM chosen) RETURNING id, fence, lane
""".replace("{crashes}", _CRASHES)
_FREE = f"due AND (lease_until IS NULL OR lease_until < now()) AND NOT ({POISON})"
PRIORITY_SECONDS = 600
"""What one point of priority is worth in waiting: a task goes ahead of those submitted so much before it, not more.

So nothing starves: whatever its priority, it is overtaken only by what came within that time behind it.
"""
# Each priority's first tasks, by its own stretch of the index on what is due: a few look-ups, however many wait.
_STEPS = (
    "steps AS ((SELECT priority FROM tasks WHERE due ORDER BY priority DESC LIMIT 1) UNION ALL "
    "SELECT (SELECT below.priority FROM tasks below WHERE below.due AND below.priority < steps.priority "
    "ORDER BY below.priority DESC LIMIT 1) FROM steps WHERE steps.priority IS NOT NULL), "
)
_RANK = f"{{0}}.created_at - {{0}}.priority * make_interval(secs => {PRIORITY_SECONDS}), {{0}}.id"
_OF_STEP = (
    f"SELECT id, priority, created_at FROM tasks WHERE {_FREE} AND lane = ANY(:lanes) AND priority = steps.priority"
)
_NEXT = text(
    _TAKE.format(
        steps=_STEPS,
        chosen=f"SELECT found.id FROM steps CROSS JOIN LATERAL ({_OF_STEP} "
        f"ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED) found ORDER BY {_RANK.format('found')} LIMIT :limit",
    )
)
_ONE = text(_TAKE.format(steps="", chosen=f"SELECT id FROM tasks WHERE id = :id AND {_FREE} FOR UPDATE SKIP LOCKED"))

# Types that may run only so many at once: whoever claims among them holds one lock, so that the count stands. The lock
# comes by a statement of its own: one statement sees what stood when it began, also behind a lock that it waited for.
_LIMITS_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('parley:limits'))")
_HELD = (
    "(SELECT count(*) FROM tasks held WHERE held.status = 'running' AND held.task_type = {name} "
    "AND held.lease_owner IS NOT NULL AND held.lease_until >= now())"
)
_LIMITS = "unnest(CAST(:names AS text[]), CAST(:most AS int[])) AS limits (name, most)"
_OTHERS = (
    f"SELECT found.id FROM steps CROSS JOIN LATERAL ({_OF_STEP} AND task_type <> ALL(:names) "
    "ORDER BY created_at LIMIT :limit) found"
)
_LIMITED = (
    f"SELECT found.id FROM {_LIMITS} CROSS JOIN LATERAL (SELECT ahead.id FROM steps CROSS JOIN LATERAL "
    f"({_OF_STEP} AND task_type = limits.name ORDER BY created_at LIMIT :limit) ahead ORDER BY {_RANK.format('ahead')} "
    f"LIMIT GREATEST(limits.most - {_HELD.format(name='limits.name')}, 0)) found"
)
_NEXT_LIMITED = text(
    _TAKE.format(
        steps=_STEPS,
        chosen=f"SELECT id FROM tasks WHERE id IN ({_OTHERS} UNION ALL {_LIMITED}) AND {_FREE} "
        f"ORDER BY {_RANK.format('tasks')} LIMIT :limit FOR UPDATE SKIP LOCKED",
    )
)
_ONE_LIMITED = text(
    _TAKE.format(
        steps="",
        chosen=f"SELECT id FROM tasks WHERE id = :id AND {_FREE} AND (task_type <> ALL(:names) OR "
        f"{_HELD.format(name='tasks.task_type')} < (SELECT most FROM {_LIMITS} WHERE name = tasks.task_type)) "
        "FOR UPDATE SKIP LOCKED",
    )
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
    "WHERE id = :id AND fence = :fence AND ended_at IS NULL"
)
# A statement that waits for the row sees the other tables as they were before it waited: lock first, then look.
_LOCK = text("SELECT FROM tasks WHERE id = :id FOR NO KEY UPDATE")
_RELEASE = text(
    "UPDATE tasks SET lease_owner = NULL, lease_until = now() + make_interval(secs => :delay) "
    "WHERE id = :id AND fence = :fence AND ended_at IS NULL"
)

_STOPPED = text("UPDATE workers SET stopped_at = now() WHERE id = :id")
_GIVE_BACK = text("UPDATE tasks SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = :id AND due")


class Claim(Frozen):
    """A lease together with the lane to run on."""

    lease: Lease
    lane: Lane


async def claim(
    engine: AsyncEngine,
    owner: str,
    *,
    seconds: int,
    limit: int,
    lanes: Sequence[Lane],
    limits: Mapping[str, int] | None = None,
) -> tuple[Claim, ...]:
    """Take up to `limit` due tasks that nobody holds, by priority and age.

    `limits`: how many tasks of these types may be held at once, over all workers.
    """
    values = {"owner": owner, "seconds": seconds, "limit": limit, "lanes": [lane.value for lane in lanes]}
    async with engine.connect() as connection:
        if limits:
            rows = (await _behind_lock(connection, _NEXT_LIMITED, values, limits)).all()
        else:
            # One statement is a transaction by itself.
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            rows = (await connection.execute(_NEXT, values)).all()
    return tuple(_claim(row, owner) for row in rows)


async def claim_one(
    engine: AsyncEngine, owner: str, task_id: str, *, seconds: int, limits: Mapping[str, int] | None = None
) -> Claim | None:
    """Take this task if it is due, nobody holds it and its type's limit allows it."""
    values = {"owner": owner, "seconds": seconds, "id": task_id}
    async with engine.connect() as connection:
        if limits:
            row = (await _behind_lock(connection, _ONE_LIMITED, values, limits)).one_or_none()
        else:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            row = (await connection.execute(_ONE, values)).one_or_none()
    return None if row is None else _claim(row, owner)


async def _behind_lock(
    connection: AsyncConnection, statement: TextClause, values: Mapping[str, Any], limits: Mapping[str, int]
) -> CursorResult[Any]:
    await connection.execute(_LIMITS_LOCK)
    found = await connection.execute(statement, {**values, "names": list(limits), "most": list(limits.values())})
    await connection.commit()
    return found


def _claim(row: Row[Any], owner: str) -> Claim:
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


async def sign_off(connection: AsyncConnection, owner: str) -> None:
    """A worker ends: whoever looks next may take what it still holds."""
    await connection.execute(_STOPPED, {"id": owner})
    await connection.execute(_GIVE_BACK, {"id": owner})
