"""Notices that are still to be sent out: a row written with what it tells of, so that no crash loses it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.model import Frozen
from storage.approval_tables import notices
from storage.writes import insert_all

OPENED, ESCALATED, EXPIRED = "opened", "escalated", "expired"
"""What a notice tells of."""
HORIZON = timedelta(days=1)
"""What could not be sent for so long is not sent any more."""

# Taken for a while, not held: no row is locked while somebody else's server is waited for.
_TAKE = text(
    "UPDATE notices SET attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => :seconds) "
    "WHERE key IN (SELECT n.key FROM notices n JOIN tasks t ON t.id = n.task_id WHERE n.sent_at IS NULL "
    "AND n.failed_at IS NULL AND n.due_at <= clock_timestamp() AND (:everywhere OR t.task_type = ANY(:types)) "
    "ORDER BY n.due_at LIMIT :limit FOR UPDATE OF n SKIP LOCKED) RETURNING key"
)
_READ = text(
    "SELECT n.key, n.task_id, n.approval_id, n.what, n.role, n.attempts, t.task_type, a.subtask_id, a.cause, "
    "a.expires_at, a.shown ->> 'question' AS question, "
    "jsonb_array_length(COALESCE(a.shown -> 'asks' -> 'overrides', '[]')) > 0 AS overriding, "
    "t.dry_run, n.what = 'expired' OR (a.status = 'open' AND t.ended_at IS NULL) AS matters, "
    "n.at < clock_timestamp() - CAST(:horizon AS interval) AS stale "
    "FROM notices n JOIN tasks t ON t.id = n.task_id JOIN approvals a ON a.id = n.approval_id "
    "WHERE n.key = ANY(:keys) ORDER BY n.at, n.key"
)
_SENT = text("UPDATE notices SET sent_at = clock_timestamp(), error = NULL WHERE key = :key")
_LATER = text(
    "UPDATE notices SET error = :error, due_at = clock_timestamp() + make_interval(secs => :seconds) WHERE key = :key"
)
_FAILED = text("UPDATE notices SET failed_at = clock_timestamp(), error = :error WHERE key = :key")


class Notice(Frozen):
    """A notice with what it says: nothing of the payload."""

    key: str
    task_id: str
    approval_id: str
    what: str
    role: str
    attempts: int
    task_type: str
    subtask_id: str
    cause: str
    expires_at: datetime
    question: str | None
    overriding: bool
    dry_run: bool
    """Whether its task acts on nothing, whatever the answer."""
    matters: bool
    """Whether anybody can still do something about it."""
    stale: bool
    """Whether it is too old to be sent."""


def notice(task_id: str, approval_id: str, what: str, role: str, step: int = 0) -> dict[str, Any]:
    """The row; its key makes it once."""
    key = f"approval:{approval_id}:{what}" + (f":{step}" if step else "")
    return {"key": key, "task_id": task_id, "approval_id": approval_id, "what": what, "role": role}


async def tell(connection: AsyncConnection, row: dict[str, Any]) -> None:
    """Write it in the caller's transaction."""
    await insert_all(connection, {notices: [row]})


async def take_due(
    connection: AsyncConnection, *, types: Sequence[str] | None, limit: int, seconds: float
) -> list[Notice]:
    """Take what is due, for so long: whoever dies over it leaves it to be taken again. `types`: None for all."""
    values = {"everywhere": types is None, "types": list(types or ()), "limit": limit, "seconds": seconds}
    keys = list((await connection.execute(_TAKE, values)).scalars())
    if not keys:
        return []
    found = await connection.execute(_READ, {"keys": keys, "horizon": HORIZON})
    return [Notice.model_validate(dict(row)) for row in found.mappings()]


async def mark_sent(connection: AsyncConnection, key: str) -> None:
    """It was taken by the other side."""
    await connection.execute(_SENT, {"key": key})


async def mark_later(connection: AsyncConnection, key: str, error: str, seconds: float) -> None:
    """It could not be sent, and is tried again."""
    await connection.execute(_LATER, {"key": key, "error": error, "seconds": seconds})


async def mark_failed(connection: AsyncConnection, key: str, error: str) -> None:
    """It is not tried any more."""
    await connection.execute(_FAILED, {"key": key, "error": error})
