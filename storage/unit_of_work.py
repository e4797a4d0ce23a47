"""One stage is one transaction, and every write of it carries the run's fence."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Row, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.audit import STATED
from domain.errors import LeaseLost, TaskEnded, TaskHalted, TaskPaused
from domain.faults import reach_inside
from domain.task import END_STATES, Lease
from storage.audit import Chain, encoded
from storage.tables import events
from storage.writes import insert_all

FENCED = (
    "status, fence, cancel_requested, pause_requested, "
    "now() > deadline_at + make_interval(secs => parked_seconds) AS overdue"
)
"""The columns of `tasks` that `check_fence` looks at, with `overdue`."""

LOOK = text(f"SELECT {FENCED} FROM tasks WHERE id = :id")
"""For `check_fence` without a lock."""

_LOCK_TASK = text(f"SELECT {FENCED} FROM tasks WHERE id = :id FOR NO KEY UPDATE")


def check_fence(row: Row[Any], lease: Lease, *, halted_too: bool = False, midway: bool = False) -> None:
    """Raise LeaseLost where a newer fence stands, TaskEnded where the task has ended, TaskHalted where it was cancelled
    (unless `halted_too`), TaskPaused where it is to pause (unless `halted_too`, or `midway` in a node, which is
    finished first).

    The fence alone does not tell two runs of one claim apart: the one that is left is refused by the end.
    """
    if row.fence != lease.fence:
        raise LeaseLost(f"task {lease.task_id}: fence {lease.fence} is stale, {row.fence} stands")
    if row.status in END_STATES:
        raise TaskEnded(row.status, f"task {lease.task_id} has ended as {row.status}: this run is left over")
    if row.cancel_requested and not halted_too:
        raise TaskHalted(f"task {lease.task_id} was cancelled")
    if row.pause_requested and not (halted_too or midway):
        raise TaskPaused(f"task {lease.task_id} is to pause")


class UnitOfWork:
    """A transaction that holds the task's row and refuses a stale fence.

    Raises what `check_fence` raises.
    """

    connection: AsyncConnection
    overdue: bool
    paused: bool
    """Whether it is to pause, and was not cancelled: then it goes on to its end."""

    def __init__(self, engine: AsyncEngine, lease: Lease, *, halted_too: bool = False, midway: bool = False) -> None:
        self._engine, self.lease, self._halted_too, self._midway = engine, lease, halted_too, midway
        self._rows: dict[Table, list[dict[str, Any]]] = {}
        self._events: list[dict[str, Any]] = []
        self._chain = Chain(lease.task_id, lease.fence, lease.owner)

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
        check_fence(row, self.lease, halted_too=self._halted_too, midway=self._midway)
        self.overdue = bool(row.overdue)
        self.paused = bool(row.pause_requested and not row.cancel_requested)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._finish()
                reach_inside()
                await self.connection.commit()
            else:
                await self.connection.rollback()
        finally:
            await self.connection.close()

    async def add(self, table: Table, *rows: dict[str, Any]) -> None:
        """Insert rows by the transaction's end; one that stands already is kept, so a repeated stage changes nothing.

        The transaction's event speaks for them in the audit chain.
        They are gathered and written by one statement: `flush` first where the same transaction reads them.
        """
        if rows:
            waiting = self._rows.setdefault(table, [])
            if waiting and waiting[0].keys() != rows[0].keys():
                await self.flush()
                waiting = self._rows.setdefault(table, [])
            waiting.extend(rows)

    async def flush(self) -> None:
        """Write what was added so far; events wait for the end, where they enter the task's audit chain by one call."""
        rows = self._take_rows()
        if rows:
            await insert_all(self.connection, rows)

    async def _finish(self) -> None:
        rows, told = self._take_rows(), self._events
        if not told:
            await insert_all(self.connection, rows)
            return
        await insert_all(self.connection, {**rows, events: told}, self._chain.append(told))

    def _take_rows(self) -> dict[Table, list[dict[str, Any]]]:
        """What waits, and the chain speaks for each row of it that it can speak for."""
        rows, self._rows = self._rows, {}
        for table, some in rows.items():
            if table.name in STATED:
                rows[table] = [encoded(table, row) for row in some]
                for row in rows[table]:
                    self._chain.state(table.name, row)
        return rows

    def state(self, kind: str, row: Mapping[str, Any]) -> None:
        """Have the event speak for a row that is written in another way; `kind` is one of `domain.audit.STATED`."""
        self._chain.state(kind, row)

    async def event(self, key: str, event: str, data: dict[str, Any], subtask_id: str | None = None) -> None:
        """Write the event once for its key, and append it to the task's audit chain."""
        self._events.append(self._chain.event(key, event, data, subtask_id))
