"""Open requests whose role has had its time go on to the next role of their chain, by the database's clock."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.asking import Asks
from storage.audit import write_event
from storage.repositories.notices import ESCALATED, notice, tell

_DUE = text(
    "SELECT a.id, a.task_id, t.fence FROM approvals a JOIN tasks t ON t.id = a.task_id "
    "WHERE a.status = 'open' AND a.next_at <= now() AND a.expires_at > now() AND t.ended_at IS NULL "
    "ORDER BY a.next_at LIMIT 200 FOR NO KEY UPDATE OF t SKIP LOCKED"
)
_ASKED = text("SELECT subtask_id, role, digest, step, shown -> 'asks' AS asks FROM approvals WHERE id = :id")
# Not now(): whoever answers may have waited for the task's lock. The next role has its whole time from here on.
_STEP = text(
    "UPDATE approvals SET step = step + 1, next_at = clock_timestamp() + CAST(:time AS interval) "
    "WHERE id = :id AND status = 'open' AND step = :step AND next_at <= clock_timestamp() "
    "AND expires_at > clock_timestamp() RETURNING step"
)


async def escalate_due(connection: AsyncConnection) -> int:
    """All that are due; returns how many. A task that is held by a transaction just now is left for the next time."""
    stepped = 0
    for row in (await connection.execute(_DUE)).all():
        stepped += await step_on(connection, row.task_id, row.fence, row.id, "recover")
    return stepped


async def step_on(connection: AsyncConnection, task_id: str, fence: int, approval_id: str, actor: str) -> bool:
    """Ask the next role, where this one has had its time. The caller has locked the task's row.

    It stays the same question: what was answered so far counts on.
    """
    row = (await connection.execute(_ASKED, {"id": approval_id})).one()
    asks = Asks.model_validate(row.asks or {"role": row.role})
    values = {"id": approval_id, "step": row.step, "time": asks.time_at(row.step + 1)}
    if (await connection.execute(_STEP, values)).first() is None:
        return False
    step = row.step + 1
    of, to = asks.role_at(row.step), asks.role_at(step)
    await tell(connection, notice(task_id, approval_id, ESCALATED, to, step))
    data = {"approval": approval_id, "of": of, "to": to, "step": step, "steps": len(asks.chain), "digest": row.digest}
    key = f"approve:{approval_id}:step:{step}"
    by: Any = {"fence": fence, "actor": actor, "subtask_id": row.subtask_id.partition(":")[0]}
    await write_event(connection, task_id, key, "approve.escalated", data, **by)
    return True
