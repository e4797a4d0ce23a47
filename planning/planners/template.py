"""The plan exactly as the task type states it."""

from datetime import datetime

from domain.plan import Plan, PlannedSubtask
from domain.task_type import TaskType
from planning.order import in_order


def plan(task_type: TaskType, start: datetime) -> Plan:
    """Every subtask in topological order; a deadline counts from `start` and defaults to the SLA's.

    Raises graphlib.CycleError.
    """
    specs = {spec.id: spec for spec in task_type.plan.subtasks}
    planned = []
    for subtask_id in in_order({spec.id: spec.depends_on for spec in specs.values()}):
        spec = specs[subtask_id]
        allowed = task_type.sla.deadline if spec.deadline is None else min(spec.deadline, task_type.sla.deadline)
        planned.append(
            PlannedSubtask(
                id=spec.id,
                panel=spec.panel,
                depends_on=spec.depends_on,
                when=spec.when,
                required=spec.required,
                deadline_at=start + allowed,
            )
        )
    return Plan(planner="template", subtasks=tuple(planned))
