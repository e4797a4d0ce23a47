"""Opening a request: the row, its time, the notice and the event, for whatever people are asked about."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from domain.approval import ApprovalStatus
from domain.asking import UNASSIGNED, Asks
from domain.canonical import digest
from storage.approval_tables import notices
from storage.repositories.notices import EXPIRED, OPENED, notice
from storage.tables import approvals
from storage.unit_of_work import UnitOfWork
from tasks.context import StageContext

# Of the clock, where a request may follow an answer that was given in this transaction's time.
_TIMES = text(
    "SELECT clock_timestamp() AS now, clock_timestamp() + CAST(:wait AS interval) AS expires_at, "
    "clock_timestamp() + CAST(:first AS interval) AS next_at, "
    "EXISTS (SELECT FROM role_grants WHERE role = :role AND revoked_at IS NULL) AS held"
)
_ESCALATED = text("UPDATE tasks SET escalated = true WHERE id = :id")


@dataclass(frozen=True)
class Request:
    """What is asked, of whom."""

    subtask_id: str
    """Or the step whose action is asked about."""
    cause: str
    asks: Asks
    shown: dict[str, Any]
    """With `asks` in it."""

    @property
    def digest(self) -> str:
        """What an answer is bound to."""
        return digest(self.shown)

    def id_in(self, task_id: str) -> str:
        """The same request of the same task has the same id."""
        return str(uuid.uuid5(uuid.UUID(task_id), f"{self.subtask_id}:{self.digest}"))


async def open_request(context: StageContext, work: UnitOfWork, asked: Request) -> dict[str, Any]:
    """Add the request and its notice to the transaction; returns what its event says."""
    task, asks = context.task, asked.asks
    approval_id = asked.id_in(task.id)
    wait = {"wait": context.task_type.sla.approval_deadline, "first": asks.time_at(0), "role": asks.role}
    times = (await work.connection.execute(_TIMES, wait)).one()
    row = {
        "id": approval_id,
        "task_id": task.id,
        "subtask_id": asked.subtask_id,
        "cause": asked.cause,
        "shown": asked.shown,
        "digest": asked.digest,
        "role": asks.role,
        "submitter": task.principal,
        "status": ApprovalStatus.OPEN.value,
        "created_at": times.now,
        "expires_at": times.expires_at,
        "next_at": times.next_at,
    }
    await work.add(approvals, row)
    work.state("asked", row)
    await work.add(notices, notice(task.id, approval_id, OPENED, asks.role))
    await work.connection.execute(_ESCALATED, {"id": task.id})
    told: dict[str, Any] = {"approval": approval_id, "cause": asked.cause, "digest": asked.digest, "role": asks.role}
    if asks.quorum > 1 or asks.of > 1:
        told |= {"quorum": asks.quorum, "of": asks.of}
    if not times.held:
        told["note"] = UNASSIGNED
    return told


async def tell_expired(work: UnitOfWork, task_id: str, approval_id: str, role: str) -> None:
    """Have it sent out that nobody answered in time."""
    await work.add(notices, notice(task_id, approval_id, EXPIRED, role))
