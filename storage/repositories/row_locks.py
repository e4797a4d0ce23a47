"""Waiting for a task's row only so long, and saying who has it."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.roles import LEAVE_ROLE

_WAIT = text("SELECT set_config('lock_timeout', :limit, true)")
_LOCK_NOT_AVAILABLE = "55P03"
# The row's newest locker is in its xmax; several that share the row stand behind a number that tells nothing of them.
_HOLDER = text(
    "SELECT t.lease_owner, a.pid, a.state, EXTRACT(EPOCH FROM clock_timestamp() - a.state_change) AS seconds "
    "FROM tasks t LEFT JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = t.xmax "
    "LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE t.id = :id"
)


async def wait_for_locks(connection: AsyncConnection, seconds: float) -> None:
    """In this transaction, what waits longer than this for a lock fails; see `waited_in_vain`."""
    await connection.execute(_WAIT, {"limit": str(int(1000 * seconds))})


def waited_in_vain(error: DBAPIError) -> bool:
    """Whether a statement failed because somebody else had a lock for too long."""
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


async def holder_of(engine: AsyncEngine, task_id: str) -> str:
    """Who has the task's row locked, in words."""
    async with engine.connect() as connection:
        # Only the login may see what its other sessions do; the transaction's end brings the role back.
        await connection.execute(text(LEAVE_ROLE))
        row = (await connection.execute(_HOLDER, {"id": task_id})).one_or_none()
        await connection.rollback()
    if row is None or row.pid is None:
        told = "another transaction"
    else:
        told = f"Postgres process {row.pid} ({row.state} for {row.seconds:.0f} s)"
    return told if row is None or row.lease_owner is None else f"{told}; the lease is {row.lease_owner}'s"
