"""Compensate: a task that cannot go on closes what it had not started."""

from typing import Any

from domain.task import ENDED_SUBTASK, SubtaskStatus
from storage.repositories.approvals import close_approvals
from storage.repositories.tasks import load_subtasks, set_subtask
from tasks.context import StageContext
from tasks.policy import StagePolicy

POLICY = StagePolicy("compensate", timeout_seconds=60)


async def compensate(context: StageContext, cause: str) -> dict[str, Any]:
    """Skip every subtask that has not ended. Returns {skipped: [id, ...]}."""
    skipped = []
    async with context.work(halted_too=True) as work:
        for row in await load_subtasks(work.connection, context.task.id):
            if SubtaskStatus(row["status"]) not in ENDED_SUBTASK:
                await set_subtask(
                    work.connection, context.task.id, row["subtask_id"], SubtaskStatus.SKIPPED, reason=cause
                )
                skipped.append(row["subtask_id"])
        await close_approvals(work.connection, context.task.id)
        await work.event("compensate", "compensate.done", {"cause": cause, "skipped": skipped})
    return {"skipped": skipped}
