"""The action ledger: intent, sending, end; a trigger keeps an ended row from moving back."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.action import ActionRequest, ActionStatus
from domain.canonical import canonical_json
from domain.decision import Decision
from domain.guard import Verdict
from domain.model import Frozen

# The intent and its sending are one statement: no transaction of ours ends between them.
_TAKE = text(
    "INSERT INTO actions (task_id, subtask_id, idempotency_key, executor, request, status, fence, attempts) "
    "VALUES (:task, :subtask, :key, :executor, CAST(:request AS jsonb), 'sending', :fence, 1) "
    "ON CONFLICT (task_id, subtask_id) DO UPDATE "
    "SET status = 'sending', fence = EXCLUDED.fence, attempts = actions.attempts + 1 "
    "WHERE actions.fence <= EXCLUDED.fence AND actions.status IN ('intent', 'sending') RETURNING attempts"
)
_END = text(
    "UPDATE actions SET status = :status, fence = :fence, response = CAST(:response AS jsonb), error = :error "
    "WHERE task_id = :task AND subtask_id = :subtask AND fence <= :fence RETURNING status"
)
_FIND = text("SELECT status, attempts, response, error FROM actions WHERE task_id = :task AND subtask_id = :subtask")
_READY = text(
    "SELECT d.body AS decision, a.status, "
    "(SELECT v.body FROM verdicts v WHERE v.task_id = d.task_id AND v.subtask_id = d.subtask_id "
    " AND v.hop = 'arguments' ORDER BY v.at DESC, v.key DESC LIMIT 1) AS verdict "
    "FROM decisions d LEFT JOIN actions a USING (task_id, subtask_id) "
    "WHERE d.task_id = :task AND d.subtask_id = :subtask"
)


class Ready(Frozen):
    """What executing needs to know: what was decided, what policy last said of it, and where its action stands."""

    decision: Decision
    verdict: Verdict | None
    status: ActionStatus | None


async def load_ready(connection: AsyncConnection, task_id: str, subtask_id: str) -> Ready:
    """All three at one moment."""
    row = (await connection.execute(_READY, {"task": task_id, "subtask": subtask_id})).one()
    return Ready(decision=row.decision, verdict=row.verdict, status=row.status)


async def find_action(connection: AsyncConnection, task_id: str, subtask_id: str) -> RowMapping | None:
    """The ledger row, if there is one."""
    found = await connection.execute(_FIND, {"task": task_id, "subtask": subtask_id})
    return found.mappings().one_or_none()


async def take_action(connection: AsyncConnection, request: ActionRequest, executor: str) -> int:
    """Write the intent and take it for this fence; returns the attempt's number, 0 where a newer fence stands."""
    row = {
        "task": request.task_id,
        "subtask": request.subtask_id,
        "key": request.idempotency_key,
        "executor": executor,
        "request": canonical_json({"action": request.action, "arguments": request.arguments}),
        "fence": request.fence,
    }
    return int(await connection.scalar(_TAKE, row) or 0)


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
