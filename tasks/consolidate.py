"""Consolidate: the task's end becomes an episode, recallable once its outcome is known."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.canonical import digest
from memory.episodes import describe
from storage.repositories.tasks import load_subtasks
from storage.tables import memories, outcomes
from tasks.context import StageContext
from tasks.policy import StagePolicy
from tasks.taint import is_tainted

POLICY = StagePolicy("consolidate", timeout_seconds=60)


async def consolidate(context: StageContext) -> dict[str, Any]:
    """Write the episode. Returns {memory: id}."""
    task, task_type = context.task, context.task_type
    memory_id = digest(["episodic", task.id])[:32]
    async with context.work(halted_too=True) as work:
        found = {row["subtask_id"]: row for row in await load_subtasks(work.connection, task.id)}
        answer = found.get(task_type.answer)
        episode: dict[str, Any] = {
            "id": memory_id,
            "kind": "episodic",
            "task_type": task.task_type,
            "task_id": task.id,
            "text": describe(task_type.subtask(task_type.answer).context, task.payload),
            **await _known(work.connection, task.id, answer["action"] if answer else None),
        }
        if await is_tainted(work.connection, task.id, list(found)):
            episode["data"] = {**episode["data"], "tainted": True}
        # What was only tried is nothing to learn from.
        if not task.dry_run:
            await work.add(memories, episode)
        await work.event("consolidate", "consolidate.done", {"memory": memory_id})
    return {"memory": memory_id}


async def _known(connection: AsyncConnection, task_id: str, action: str | None) -> dict[str, Any]:
    """The episode's data, and since when it is known: at once where the outcome came before the task's end."""
    statement = select(outcomes.c.label, outcomes.c.right_action, func.now().label("now"))
    found = (await connection.execute(statement.where(outcomes.c.task_id == task_id))).one_or_none()
    if found is None:
        return {"data": {"action": action}, "known_at": None}
    data = {"action": action, "outcome": found.label, "right": action == found.right_action}
    return {"data": data, "known_at": found.now}
