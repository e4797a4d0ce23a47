"""One stage is one transaction, and every write of it carries the run's fence."""

from types import TracebackType
from typing import Any, Self

from sqlalchemy import Table, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.errors import LeaseLost, TaskHalted
from domain.task import Lease
from storage.tables import events

_LOCK_TASK = text(
    "SELECT fence, cancel_requested, now() > deadline_at + make_interval(secs => parked_seconds) AS overdue "
    "FROM tasks WHERE id = :id FOR NO KEY UPDATE"
)


class UnitOfWork:
    """A transaction that holds the task's row and refuses a stale fence.

    Raises LeaseLost where a newer fence stands, TaskHalted where the task was cancelled (unless `halted_too`).
    """

    connection: AsyncConnection
    overdue: bool

    def __init__(self, engine: AsyncEngine, lease: Lease, *, halted_too: bool = False) -> None:
        self._engine, self.lease, self._halted_too = engine, lease, halted_too

    async def __aenter__(self) -> Self:
        self.connection = await self._engine.connect()
        try:
            await self._lock()
        except BaseException:
            await self.connection.close()
            raise
        return self

    async def _lock(self) -> None:
        row = (await self.connection.execute(_LOCK_TASK, {"id": self.lease.task_id})).one()
        if row.fence != self.lease.fence:
            raise LeaseLost(f"task {self.lease.task_id}: fence {self.lease.fence} is stale, {row.fence} stands")
        if row.cancel_requested and not self._halted_too:
            raise TaskHalted(f"task {self.lease.task_id} was cancelled")
        self.overdue = bool(row.overdue)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await (self.connection.rollback() if kind else self.connection.commit())
        finally:
            await self.connection.close()

    async def add(self, table: Table, *rows: dict[str, Any]) -> None:
        """Insert rows; one that stands already is kept as it is, so a repeated stage changes nothing."""
        if rows:
            await self.connection.execute(insert(table).on_conflict_do_nothing(), list(rows))

    async def event(self, key: str, event: str, data: dict[str, Any], subtask_id: str | None = None) -> None:
        """Write the event once for its key."""
        await self.add(
            events,
            {
                "task_id": self.lease.task_id,
                "key": key,
                "event": event,
                "subtask_id": subtask_id,
                "fence": self.lease.fence,
                "data": data,
            },
        )
