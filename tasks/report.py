"""Report: the task's end state and its structured summary."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import TaskEnded
from domain.guard import Effect
from domain.task import SubtaskStatus, TaskStatus, was_undone
from domain.task_type import TaskType
from storage.repositories.sla import NEAR, SAID, key_of, untold
from storage.repositories.tasks import end_task
from storage.unit_of_work import UnitOfWork
from tasks.context import StageContext
from tasks.policy import StagePolicy

POLICY = StagePolicy("report", timeout_seconds=60)

_DECISIONS = text(
    "SELECT d.subtask_id, d.body, s.hash FROM decisions d LEFT JOIN LATERAL "
    "(SELECT array_agg(hash ORDER BY round) AS hash FROM snapshots "
    " WHERE task_id = d.task_id AND subtask_id = d.subtask_id) s ON true "
    "WHERE d.task_id = :id ORDER BY d.subtask_id"
)
_STANDS = text(
    "SELECT (SELECT json_agg(json_build_object('subtask_id', subtask_id, 'status', status, 'action', action, "
    " 'reason', reason) ORDER BY subtask_id) FROM subtasks WHERE task_id = :id) AS subtasks, "
    "(SELECT json_agg(json_build_object('key', key, 'effect', effect, 'policy_ids', policy_ids) ORDER BY key) "
    " FROM verdicts WHERE task_id = :id AND effect <> 'allow') AS verdicts, "
    "(SELECT json_agg(json_build_object('step', subtask_id, 'executor', executor, 'kind', kind, 'status', status, "
    " 'attempts', attempts, 'error', error) ORDER BY COALESCE(sent_at, at), subtask_id) "
    " FROM actions WHERE task_id = :id) AS acted, "
    "(SELECT json_agg(a ORDER BY subtask_id) FROM actions a WHERE task_id = :id) AS actions, "
    "(SELECT json_agg(r ORDER BY r.idempotency_key) FROM records r JOIN actions a USING (idempotency_key) "
    " WHERE a.task_id = :id) AS records, "
    "(SELECT json_agg(json_build_object('event', event, 'subtask', subtask_id, 'at', at, 'data', data) ORDER BY seq) "
    " FROM events WHERE task_id = :id AND event = ANY(:said)) AS deadlines, "
    "(SELECT json_agg(json_build_object('subtask_id', subtask_id, 'created_at', created_at, 'ended_at', ended_at)) "
    " FROM subtasks WHERE task_id = :id) AS spans, "
    f"escalated, {NEAR} AS near, now() AS now FROM tasks WHERE id = :id"
)


async def report(context: StageContext, denied: str | None, halted: str | None) -> dict[str, Any]:
    """End the task. `denied`: refused at the door; `halted`: cancelled or expired. Returns {status}.

    Of a task that has ended, by an attempt whose commit went unheard or by another run of the same claim, it returns
    the status that stands.
    """
    try:
        return {"status": (await _end(context, denied, halted)).value}
    except TaskEnded as ended:
        return {"status": ended.status}


async def _end(context: StageContext, denied: str | None, halted: str | None) -> TaskStatus:
    task = context.task
    async with context.work(halted_too=True) as work:
        stands = (await work.connection.execute(_STANDS, {"id": task.id, "said": list(SAID)})).one()
        rows = stands.subtasks or []
        status, reason = end_state(context.task_type, rows, denied, halted, halt_of(stands.verdicts or ()))
        undone = [row["subtask_id"] for row in rows if was_undone(row["status"], row["reason"])]
        answer = answer_of(context.task_type, rows, undone)
        summary = {
            "status": status.value,
            "reason": reason,
            "answer": answer,
            "subtasks": rows,
            "decisions": await _decisions(work.connection, task.id),
            "verdicts": stands.verdicts or [],
            # What was done and undone, and by whom, in the order in which it was sent.
            "actions": stands.acted or [],
        }
        if undone:
            summary["undone"] = undone
        if deadlines := await _deadlines(work, stands):
            summary["deadlines"] = deadlines
        ended = {"status": status.value, "answer": answer, "reason": reason, "summary": summary}
        _state(work, stands, {**ended, "escalated": stands.escalated})
        await work.event("report", "report.done", {"status": status.value, "answer": answer, "reason": reason})
        await end_task(work.connection, task.id, status, answer=answer, reason=reason, summary=summary)
    return status


def _state(work: UnitOfWork, stands: Row[Any], ended: Mapping[str, Any]) -> None:
    """Their ends are written without events of their own; from here on the chain speaks for them."""
    acted = [_timed(row, "at", "sent_at") for row in stands.actions or ()]
    recorded = [_timed(row, "at") for row in stands.records or ()]
    spans = [_timed(row, "created_at", "ended_at") for row in stands.spans or ()]
    kinds: dict[str, Sequence[Mapping[str, Any]]] = {
        "actions": acted,
        "acted": acted,
        "records": recorded,
        "kept": recorded,
        "ends": stands.subtasks or (),
        "spans": spans,
        "ended": [ended],
    }
    for kind, some in kinds.items():
        for row in some:
            work.state(kind, row)


def _timed(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """With times as a row has them: Postgres writes those in JSON in another way."""
    return {**row, **{name: datetime.fromisoformat(row[name]) for name in names if row[name] is not None}}


async def _deadlines(work: UnitOfWork, stands: Row[Any]) -> list[dict[str, Any]]:
    """What its deadlines led to; what recovery has not told of yet is told with the end."""
    said: list[dict[str, Any]] = list(stands.deadlines or ())
    for event in untold(said, near=stands.near, over=work.overdue):
        data: dict[str, Any] = {"at": "the end"}
        await work.event(key_of(event), event, data)
        said.append({"event": event, "subtask": None, "at": stands.now.isoformat(), "data": data})
    return said


def halt_of(verdicts: Sequence[Mapping[str, Any]]) -> str | None:
    """That policy halted the task, and which; None where it did not."""
    ids = sorted({name for row in verdicts if row["effect"] == Effect.HALT for name in row["policy_ids"]})
    return f"policy halted the task: {', '.join(ids)}" if ids else None


def answer_of(task_type: TaskType, rows: Sequence[Mapping[str, Any]], undone: Collection[str]) -> str | None:
    """The action of the subtask that answers the task; none where it was undone."""
    if task_type.answer in undone:
        return None
    return next((row["action"] for row in rows if row["subtask_id"] == task_type.answer), None)


def end_state(
    task_type: TaskType,
    rows: Sequence[Mapping[str, Any]],
    denied: str | None,
    halted: str | None,
    halt: str | None = None,
) -> tuple[TaskStatus, str | None]:
    """The end state and why: the door first, then cancelled or expired, then policy's halt, then what required
    subtasks ended with.
    """
    if denied is not None:
        return TaskStatus.DENIED, denied
    if halted is not None:
        return TaskStatus(halted), f"the task was {halted}"
    if halt is not None:
        return TaskStatus.DENIED, halt
    required = {spec.id for spec in task_type.plan.subtasks if spec.required}
    for bad, end in ((SubtaskStatus.FAILED, TaskStatus.FAILED), (SubtaskStatus.DENIED, TaskStatus.DENIED)):
        for row in rows:
            if row["status"] == bad and row["subtask_id"] in required:
                return end, row["reason"]
    return TaskStatus.DONE, None


async def _decisions(connection: AsyncConnection, task_id: str) -> dict[str, Any]:
    found = (await connection.execute(_DECISIONS, {"id": task_id})).all()
    return {
        row.subtask_id: {
            "option": (row.body["option"] or {}).get("name"),
            "kind": row.body["result"]["kind"],
            "margin": row.body["result"]["margin"],
            "tally": row.body["result"]["tally"],
            "dissent": row.body["result"]["dissent"],
            "pivotal": row.body["explanation"].get("pivotal", []),
            "reasons": row.body["reasons"],
            "rounds": row.body["rounds"],
            "snapshots": row.hash,
        }
        for row in found
    }
