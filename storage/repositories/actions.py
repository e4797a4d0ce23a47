"""The action ledger: intent, sending, end; a trigger keeps an ended row from moving back."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.action import ActionRequest, ActionStatus
from storage.tables import actions
from storage.writes import insert_all

_SENDING = text(
    "UPDATE actions SET status = 'sending', fence = :fence, attempts = attempts + 1 "
    "WHERE task_id = :task AND subtask_id = :subtask AND fence <= :fence AND status IN ('intent', 'sending') "
    "RETURNING attempts"
)
_END = text(
    "UPDATE actions SET status = :status, fence = :fence, response = CAST(:response AS jsonb), error = :error "
    "WHERE task_id = :task AND subtask_id = :subtask AND fence <= :fence RETURNING status"
)
_FIND = text("SELECT status, attempts, response, error FROM actions WHERE task_id = :task AND subtask_id = :subtask")


async def find_action(connection: AsyncConnection, task_id: str, subtask_id: str) -> RowMapping | None:
    """The ledger row, if there is one."""
    found = await connection.execute(_FIND, {"task": task_id, "subtask": subtask_id})
    return found.mappings().one_or_none()


async def intend(connection: AsyncConnection, request: ActionRequest, executor: str) -> None:
    """Write the intent; one that stands is kept."""
    row = {
        "task_id": request.task_id,
        "subtask_id": request.subtask_id,
        "idempotency_key": request.idempotency_key,
        "executor": executor,
        "request": {"action": request.action, "arguments": request.arguments},
        "status": ActionStatus.INTENT.value,
        "fence": request.fence,
    }
    await insert_all(connection, {actions: [row]})


async def mark_sending(connection: AsyncConnection, request: ActionRequest) -> int:
    """Take the row for this fence; returns the attempt's number, 0 where a newer fence stands."""
    values = {"fence": request.fence, "task": request.task_id, "subtask": request.subtask_id}
    return int(await connection.scalar(_SENDING, values) or 0)


async def end_action(
    connection: AsyncConnection,
    request: ActionRequest,
    status: ActionStatus,
    *,
    response: str | None = None,
    error: str | None = None,
) -> None:
    """Write how it ended; `response` is canonical JSON."""
    values: dict[str, Any] = {
        "status": status.value,
        "response": response,
        "error": error,
        "task": request.task_id,
        "subtask": request.subtask_id,
        "fence": request.fence,
    }
    await connection.execute(_END, values)
