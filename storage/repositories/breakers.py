"""Circuit breakers, one a target, in the database's time and shared by all workers."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.model import Frozen

BREAKERS = (
    "(SELECT jsonb_object_agg(b.executor, jsonb_build_object('failures', b.failures, 'note', b.note, "
    "'open_for', EXTRACT(EPOCH FROM clock_timestamp() - b.opened_at))) "
    "FROM breakers b WHERE b.executor = ANY(:targets))"
)
"""A column: the breakers of these targets, by name."""
_FAIL = text(
    "INSERT INTO breakers (executor, failures, opened_at, note) "
    "VALUES (:target, 1, CASE WHEN :limit <= 1 THEN clock_timestamp() END, :note) "
    "ON CONFLICT (executor) DO UPDATE SET failures = breakers.failures + 1, note = EXCLUDED.note, "
    "opened_at = CASE WHEN breakers.failures + 1 >= :limit THEN clock_timestamp() ELSE breakers.opened_at END "
    "RETURNING opened_at IS NOT NULL"
)
_PROBE = text(
    "UPDATE breakers SET opened_at = clock_timestamp() "
    "WHERE executor = :target AND opened_at <= clock_timestamp() - CAST(:wait AS interval) RETURNING executor"
)
_CLOSE = text(
    "UPDATE breakers SET failures = 0, opened_at = NULL, note = NULL WHERE executor = :target AND failures > 0"
)


class Breaker(Frozen):
    """A target's record."""

    failures: int
    """In a row."""
    note: str | None
    """The last failure."""
    open_for: float | None
    """Seconds since it was opened; None while it is closed."""


async def note_failure(connection: AsyncConnection, target: str, limit: int, note: str) -> bool:
    """Count one more; whether the breaker is open now."""
    return bool(await connection.scalar(_FAIL, {"target": target, "limit": limit, "note": note}))


async def take_probe(connection: AsyncConnection, target: str, wait: timedelta) -> bool:
    """Take the one attempt that a breaker open for `wait` lets through; nobody else gets it for as long again."""
    return await connection.scalar(_PROBE, {"target": target, "wait": wait}) is not None


async def close_breaker(connection: AsyncConnection, target: str) -> None:
    """The target works."""
    await connection.execute(_CLOSE, {"target": target})
