"""Plan: the task type's planner lays out the subtasks."""

from typing import Any

from planning.planners import PLANNERS
from storage.repositories.tasks import store_plan
from storage.tables import subtasks
from tasks.context import StageContext
from tasks.policy import StagePolicy

POLICY = StagePolicy("plan", timeout_seconds=60, cached=True)


async def plan(context: StageContext) -> dict[str, Any]:
    """Write the plan and its subtasks. Returns {subtasks: [id, ...]}."""
    task_type, task = context.task_type, context.task
    laid_out = PLANNERS[task_type.plan.planner](task_type, task.created_at)
    ids = [step.id for step in laid_out.subtasks]
    async with context.work() as work:
        made = laid_out.model_dump(mode="json")
        await store_plan(work.connection, task.id, made)
        work.state("plans", {"plan": made})
        await work.add(subtasks, *({"task_id": task.id, "subtask_id": name, "status": "pending"} for name in ids))
        await work.event("plan", "plan.made", {"planner": laid_out.planner, "subtasks": ids})
    return {"subtasks": ids}
