"""The planners, one file each."""

from collections.abc import Callable
from datetime import datetime

from domain.plan import Plan
from domain.task_type import TaskType
from planning.planners import template

Planner = Callable[[TaskType, datetime], Plan]

PLANNERS: dict[str, Planner] = {
    "template": template.plan,
}
