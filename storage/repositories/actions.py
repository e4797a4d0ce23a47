"""The action ledger: intent, sending, end; a trigger keeps an ended row from moving back."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.action import ActionRequest, ActionStatus, ExecutorKind
from domain.canonical import canonical_json
from domain.decision import Decision
from domain.guard import Verdict
from domain.model import Frozen
from storage.repositories.breakers import BREAKERS, Breaker

FALLBACK = "fallback:"
"""Before the executor's name in the row of an action that the fallback carried out."""

# Every transaction of a run has locked the row and looked already; the ledger does not rest on that.
_GOING = "EXISTS (SELECT FROM tasks t WHERE t.id = :task AND t.ended_at IS NULL)"
# The intent and its sending are one statement: no transaction of ours ends between them. An intent that stands alone
# is an action whose send is known not to have happened.
_TAKE = text(
    "INSERT INTO actions "
    "(task_id, subtask_id, idempotency_key, executor, kind, request, status, fence, attempts, sent_at) "
    "SELECT :task, :step, :key, :executor, :kind, CAST(:request AS jsonb), 'sending', :fence, 1, clock_timestamp() "
    f"WHERE {_GOING} "
    "ON CONFLICT (task_id, subtask_id) DO UPDATE "
    "SET status = 'sending', fence = EXCLUDED.fence, attempts = actions.attempts + 1, "
    "executor = EXCLUDED.executor, kind = EXCLUDED.kind, "
    "sent_at = CASE WHEN :asking THEN actions.sent_at ELSE clock_timestamp() END "
    "WHERE actions.fence <= EXCLUDED.fence AND actions.status IN ('intent', 'sending') RETURNING attempts"
)
_MINE = (
    "WHERE task_id = :task AND subtask_id = :step AND status = 'sending' AND fence = :fence "
    f"AND {_GOING} RETURNING fence"
)
_SEND = text(f"UPDATE actions SET sent_at = clock_timestamp() {_MINE}")
_UNSENT = text(f"UPDATE actions SET status = 'intent', error = :error {_MINE}")
_END = text(f"UPDATE actions SET status = :status, response = CAST(:response AS jsonb), error = :error {_MINE}")
_CLOSE = text(
    "UPDATE actions SET status = CASE WHEN status = 'sending' THEN 'unknown' ELSE 'failed' END, fence = :fence, "
    "error = :error WHERE task_id = :task AND subtask_id = :step AND fence <= :fence "
    f"AND status IN ('intent', 'sending') AND {_GOING} RETURNING status"
)
HALTED = "EXISTS (SELECT FROM verdicts h WHERE h.task_id = {task} AND h.effect = 'halt')"
"""Whether policy halted the task."""
_STANDING = (
    "(SELECT jsonb_build_object('status', a.status, 'executor', a.executor, 'kind', a.kind, 'attempts', a.attempts, "
    "'request', a.request, 'sent_ago', EXTRACT(EPOCH FROM clock_timestamp() - a.sent_at), 'error', a.error) "
    f"FROM actions a WHERE a.task_id = :task AND a.subtask_id = :step) AS action, {BREAKERS} AS breakers"
)
_READY = text(
    f"SELECT d.body - 'erased' AS decision, {_STANDING}, "
    "(SELECT v.body - 'erased' FROM verdicts v WHERE v.task_id = d.task_id AND v.subtask_id = d.subtask_id "
    " AND v.hop = 'arguments' ORDER BY v.at DESC, v.key DESC LIMIT 1) AS verdict, "
    f"{HALTED.format(task='d.task_id')} AS halted "
    "FROM decisions d WHERE d.task_id = :task AND d.subtask_id = :step"
)
_FIND = text(f"SELECT {_STANDING}")
_OF_TASK = text(
    "SELECT subtask_id AS step, idempotency_key, executor, kind, status, attempts, request, error "
    "FROM actions WHERE task_id = :task ORDER BY COALESCE(sent_at, at), subtask_id"
)


class Ledger(Frozen):
    """An action's row."""

    status: ActionStatus
    executor: str
    kind: ExecutorKind
    """What its target could do about repeats when it was last sent."""
    attempts: int
    request: dict[str, Any]
    sent_ago: float | None
    """Seconds since it was last sent, by the database's clock."""
    error: str | None


class Standing(Frozen):
    """Where an action stands, and the breakers of the targets that may carry it out."""

    action: Ledger | None
    breakers: dict[str, Breaker]

    @property
    def doubtful(self) -> bool:
        """Whether it was sent and nothing tells what became of it."""
        return self.action is not None and self.action.status is ActionStatus.SENDING

    def may_go_on(self, kind: ExecutorKind) -> bool:
        """Whether a send in doubt can be asked of a target of this kind, or sent again.

        What a target could do at the time counts: a task type that has changed since promises nothing for then.
        """
        if self.action is None or not self.doubtful:
            return True
        return kind is not ExecutorKind.BLIND and self.action.kind is kind


class Ready(Frozen):
    """What executing needs to know: what was decided, what policy last said of it, and where its action stands."""

    decision: Decision
    verdict: Verdict | None
    standing: Standing
    halted: bool
    """Whether policy halted the task, whatever subtask it was over."""


async def load_ready(connection: AsyncConnection, task_id: str, subtask_id: str, targets: Sequence[str]) -> Ready:
    """All at one moment."""
    row = (await connection.execute(_READY, _values(task_id, subtask_id, targets))).one()
    standing = Standing(action=row.action, breakers=row.breakers or {})
    return Ready(decision=row.decision, verdict=row.verdict, standing=standing, halted=row.halted)


async def load_standing(connection: AsyncConnection, task_id: str, step: str, targets: Sequence[str] = ()) -> Standing:
    """Where the step's action stands."""
    row = (await connection.execute(_FIND, _values(task_id, step, targets))).one()
    return Standing(action=row.action, breakers=row.breakers or {})


def _values(task_id: str, step: str, targets: Sequence[str]) -> dict[str, Any]:
    return {"task": task_id, "step": step, "targets": list(targets)}


async def actions_of(connection: AsyncConnection, task_id: str) -> Sequence[RowMapping]:
    """The task's actions in the order in which they were sent."""
    return (await connection.execute(_OF_TASK, {"task": task_id})).mappings().all()


async def take_action(
    connection: AsyncConnection, request: ActionRequest, executor: str, kind: ExecutorKind, *, asking: bool
) -> int:
    """Write the intent and take it for this fence; returns the attempt's number, 0 where a newer fence stands or the
    task has ended.

    `asking`: the target is asked before anything is sent, so the time of the last send is kept.
    """
    row = {
        **_mine(request),
        "key": request.idempotency_key,
        "executor": executor,
        "kind": kind.value,
        "request": canonical_json({"action": request.action, "arguments": request.arguments}),
        "asking": asking,
    }
    return int(await connection.scalar(_TAKE, row) or 0)


async def mark_sent(connection: AsyncConnection, request: ActionRequest) -> bool:
    """It is sent now; False where another run has it."""
    return (await connection.execute(_SEND, _mine(request))).first() is not None


async def mark_unsent(connection: AsyncConnection, request: ActionRequest, error: str) -> bool:
    """This send is known not to have happened; False where another run has it."""
    return (await connection.execute(_UNSENT, {**_mine(request), "error": error})).first() is not None


async def end_action(
    connection: AsyncConnection,
    request: ActionRequest,
    status: ActionStatus,
    *,
    response: str | None = None,
    error: str | None = None,
) -> bool:
    """Write how it ended; `response` is canonical JSON. False where another run has it."""
    values = {**_mine(request), "status": status.value, "response": response, "error": error}
    return (await connection.execute(_END, values)).first() is not None


async def close_action(
    connection: AsyncConnection, task_id: str, step: str, fence: int, error: str
) -> ActionStatus | None:
    """Try no more: unknown where it may have happened, else failed; None where it had ended or never began."""
    values = {"task": task_id, "step": step, "fence": fence, "error": error}
    status = await connection.scalar(_CLOSE, values)
    return ActionStatus(status) if status is not None else None


def _mine(request: ActionRequest) -> dict[str, Any]:
    return {"task": request.task_id, "step": request.subtask_id, "fence": request.fence}
