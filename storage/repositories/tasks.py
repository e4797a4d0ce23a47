"""Rows of tasks and subtasks, as a run reads and moves them."""

from typing import Any

from sqlalchemy import exists, select, text, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.task import UNDONE, SubtaskStatus, Task, TaskStatus
from storage.tables import events, subtasks, tasks

_TASK_COLUMNS = [tasks.c[name] for name in Task.model_fields]


async def load_task(connection: AsyncConnection, task_id: str) -> Task:
    """The task. Raises NotFound."""
    row = (await connection.execute(select(*_TASK_COLUMNS).where(tasks.c.id == task_id))).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no task {task_id}")
    return Task.model_validate(dict(row))


async def load_subtasks(connection: AsyncConnection, task_id: str) -> list[RowMapping]:
    """subtask_id, status, action and reason of each subtask."""
    columns = (subtasks.c.subtask_id, subtasks.c.status, subtasks.c.action, subtasks.c.reason)
    statement = select(*columns).where(subtasks.c.task_id == task_id).order_by(subtasks.c.subtask_id)
    return list((await connection.execute(statement)).mappings())


async def redact_payload(connection: AsyncConnection, task_id: str, payload: dict[str, Any]) -> None:
    """Keep the payload as policy let it pass; the request's hash stays that of what was sent."""
    await connection.execute(update(tasks).where(tasks.c.id == task_id).values(payload=payload))


async def set_subtask(
    connection: AsyncConnection,
    task_id: str,
    subtask_id: str,
    status: SubtaskStatus,
    *,
    action: str | None = None,
    reason: str | None = None,
) -> None:
    """Move a subtask that has not ended."""
    await connection.execute(
        text(
            "UPDATE subtasks SET status = :status, action = COALESCE(:action, action), reason = :reason, "
            "ended_at = CASE WHEN :ended THEN now() END "
            "WHERE task_id = :task AND subtask_id = :subtask AND ended_at IS NULL"
        ),
        {
            "status": status.value,
            "action": action,
            "reason": reason,
            "ended": status not in (SubtaskStatus.PENDING, SubtaskStatus.RUNNING, SubtaskStatus.PARKED),
            "task": task_id,
            "subtask": subtask_id,
        },
    )


async def note_undone(connection: AsyncConnection, task_id: str, subtask_id: str) -> None:
    """Have the subtask say that what it did was undone; how it ended stays."""
    statement = text("UPDATE subtasks SET reason = :undone WHERE task_id = :task AND subtask_id = :subtask")
    await connection.execute(statement, {"task": task_id, "subtask": subtask_id, "undone": UNDONE})


async def store_plan(connection: AsyncConnection, task_id: str, plan: dict[str, Any]) -> None:
    """Keep the plan with the task. One that was told of is kept: a repeated stage changes nothing."""
    told = exists().where(events.c.task_id == task_id, events.c.key == "plan")
    await connection.execute(tasks.update().where(tasks.c.id == task_id, ~told).values(plan=plan))


async def end_task(
    connection: AsyncConnection,
    task_id: str,
    status: TaskStatus,
    *,
    answer: str | None,
    reason: str | None,
    summary: dict[str, Any],
) -> None:
    """Write the end state and give the lease back."""
    await connection.execute(
        tasks.update()
        .where(tasks.c.id == task_id, tasks.c.ended_at.is_(None))
        .values(
            status=status.value,
            answer=answer,
            reason=reason,
            summary=summary,
            ended_at=text("now()"),
            due=False,
            lease_owner=None,
            lease_until=None,
        )
    )
