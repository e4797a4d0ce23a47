"""Skip: subtasks whose condition does not hold, or whose dependency did not end well, are closed."""

from collections.abc import Sequence

from domain.task import SubtaskStatus
from storage.repositories.tasks import set_subtask
from tasks.context import StageContext


async def skip(context: StageContext, subtask_ids: Sequence[str]) -> None:
    """Close these subtasks as skipped."""
    async with context.work() as work:
        for subtask_id in subtask_ids:
            await set_subtask(
                work.connection,
                context.task.id,
                subtask_id,
                SubtaskStatus.SKIPPED,
                reason="its condition does not hold or a dependency did not end well",
            )
            await work.event(f"skip:{subtask_id}", "dispatch.skipped", {}, subtask_id)
