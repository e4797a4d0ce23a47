"""Consolidate: the task's end becomes an episode, recallable once its outcome is known."""

from typing import Any

from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.canonical import digest
from domain.task import UNDONE, was_undone
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
            **await _known(work.connection, task.id, _taken(answer)),
        }
        if await is_tainted(work.connection, task.id, list(found)):
            episode["data"] = {**episode["data"], "tainted": True}
        # What was only tried is nothing to learn from.
        if not task.dry_run:
            await work.add(memories, episode)
            work.state("learned", episode)
        await work.event("consolidate", "consolidate.done", {"memory": memory_id})
    return {"memory": memory_id}


def _taken(answer: RowMapping | None) -> dict[str, Any]:
    """What was done; nothing, where it was undone, and that is said."""
    if answer is None:
        return {"action": None}
    undone = was_undone(answer["status"], answer["reason"])
    return {"action": None, UNDONE: answer["action"]} if undone else {"action": answer["action"]}


async def _known(connection: AsyncConnection, task_id: str, taken: dict[str, Any]) -> dict[str, Any]:
    """The episode's data, and since when it is known: at once where the outcome came before the task's end."""
    statement = select(outcomes.c.label, outcomes.c.right_action, func.now().label("now"))
    found = (await connection.execute(statement.where(outcomes.c.task_id == task_id))).one_or_none()
    if found is None:
        return {"data": taken, "known_at": None}
    # What was undone was neither right nor wrong.
    right = None if UNDONE in taken else taken["action"] == found.right_action
    return {"data": {**taken, "outcome": found.label, "right": right}, "known_at": found.now}
