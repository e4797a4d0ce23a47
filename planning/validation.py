"""Checks a task type's plan when it is loaded."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from graphlib import CycleError

from domain.asking import ApprovalsSpec
from domain.task_type import PlanSpec, SubtaskSpec, TaskType
from planning.conditions import parse
from planning.order import in_order
from planning.planners import PLANNERS

_NUMBERS = {"number", "integer"}


class PlanProblem(ValueError):
    """A plan cannot be used: the path inside the task type, and what was expected there."""

    def __init__(self, path: str, expected: str) -> None:
        self.path, self.expected = path, expected
        super().__init__(f"{path}: {expected}")


def validate_plan(task_type: TaskType, personas: Collection[str], executors: Collection[str]) -> None:
    """Raise PlanProblem for the first thing in the plan that cannot be used."""
    _check_times(task_type)
    _one_of("plan.planner", task_type.plan.planner, PLANNERS)
    _unique("plan.subtasks", "id", [spec.id for spec in task_type.plan.subtasks])
    fields = task_type.payload_schema.get("properties", {})
    for index, spec in enumerate(task_type.plan.subtasks):
        path = f"plan.subtasks[{index}]"
        _check_parts(path, spec, personas, executors)
        _check_fields(path, spec, fields)
        _check_deadlines(path, spec, task_type.sla.deadline)
        _check_default(path, spec, task_type.approvals)
        _check_links(path, index, task_type.plan)
    _check_acyclic(task_type.plan)
    _check_answer(task_type)
    _check_stake(task_type)


def _check_times(task_type: TaskType) -> None:
    for name in ("deadline", "approval_deadline"):
        if getattr(task_type.sla, name) <= timedelta(0):
            raise PlanProblem(f"sla.{name}", "a positive duration")
    _check_chain(task_type)


def _check_chain(task_type: TaskType) -> None:
    """Each role is asked once, and the last one has some time left."""
    asked, left = task_type.approvals, task_type.sla.approval_deadline
    seen = {asked.role}
    for index, step in enumerate(asked.chain):
        path = f"approvals.chain[{index}]"
        if step.role in seen:
            raise PlanProblem(f"{path}.role", f"a role that was not asked before, got {step.role!r} again")
        seen.add(step.role)
        if step.after <= timedelta(0):
            raise PlanProblem(f"{path}.after", "a positive duration")
        left -= step.after
        if left <= timedelta(0):
            raise PlanProblem(f"{path}.after", "less than is left of sla.approval_deadline, all steps taken together")


def _check_parts(path: str, spec: SubtaskSpec, personas: Collection[str], executors: Collection[str]) -> None:
    _unique(f"{path}.panel", "", spec.panel)
    for index, persona in enumerate(spec.panel):
        _one_of(f"{path}.panel[{index}]", persona, personas)
    actions = [action.name for action in spec.actions]
    _unique(f"{path}.actions", "name", actions)
    _one_of(f"{path}.executor", spec.executor, executors)
    if spec.fallback is not None:
        _one_of(f"{path}.fallback.executor", spec.fallback.executor, executors)
    if spec.compensate is not None and spec.compensate.executor is not None:
        _one_of(f"{path}.compensate.executor", spec.compensate.executor, executors)
    if spec.strategy.safe_default is not None:
        _one_of(f"{path}.strategy.safe_default", spec.strategy.safe_default, actions)


def _check_fields(path: str, spec: SubtaskSpec, fields: Collection[str]) -> None:
    for part in ("working", "hide"):
        names = getattr(spec.context, part)
        _unique(f"{path}.context.{part}", "", names)
        for index, name in enumerate(names):
            _one_of(f"{path}.context.{part}[{index}]", name, fields, "a field of payload_schema")


def _check_deadlines(path: str, spec: SubtaskSpec, sla: timedelta) -> None:
    limit = sla
    for name, deadline in (("deadline", spec.deadline), ("strategy.deadline", spec.strategy.deadline)):
        if deadline is None:
            continue
        if not timedelta(0) < deadline <= limit:
            raise PlanProblem(f"{path}.{name}", f"a positive duration of at most {limit}, got {deadline}")
        limit = deadline
    if spec.on_deadline != "escalate" and spec.deadline is None and spec.strategy.deadline is None:
        raise PlanProblem(f"{path}.on_deadline", "a deadline, or a strategy.deadline, beside it")


def _check_default(path: str, spec: SubtaskSpec, asked: ApprovalsSpec) -> None:
    """Whatever says that the safe action is taken needs one that is named."""
    for name, said in (("on_deadline", spec.on_deadline), ("approvals.on_expiry", asked.on_expiry)):
        if said == "default" and spec.strategy.safe_default is None:
            raise PlanProblem(f"{path}.strategy.safe_default", f"the action that `{name}: default` takes")


def _check_links(path: str, index: int, plan: PlanSpec) -> None:
    spec = plan.subtasks[index]
    specs = {other.id: other for other in plan.subtasks}
    _unique(f"{path}.depends_on", "", spec.depends_on)
    for position, name in enumerate(spec.depends_on):
        _one_of(f"{path}.depends_on[{position}]", name, specs.keys() - {spec.id}, "another subtask")
    if spec.when is None:
        return
    try:
        condition = parse(spec.when)
    except ValueError as error:
        raise PlanProblem(f"{path}.when", str(error).removeprefix("expected ")) from error
    _one_of(f"{path}.when", condition.subtask, spec.depends_on, "a subtask named in depends_on")
    declared = [action.name for action in specs[condition.subtask].actions]
    _one_of(f"{path}.when", condition.action, declared, f"an action of {condition.subtask}")


def _check_acyclic(plan: PlanSpec) -> None:
    try:
        in_order({spec.id: spec.depends_on for spec in plan.subtasks})
    except CycleError as error:
        raise PlanProblem("plan.subtasks", f"no cycle, got {' -> '.join(error.args[1])}") from error


def _check_answer(task_type: TaskType) -> None:
    _one_of("answer", task_type.answer, [spec.id for spec in task_type.plan.subtasks], "a subtask")
    actions = [action.name for action in task_type.subtask(task_type.answer).actions]
    for label, action in task_type.outcome_map.items():
        _one_of(f"outcome_map.{label}", action, actions, f"an action of {task_type.answer}")


def _check_stake(task_type: TaskType) -> None:
    if task_type.stake_field is None:
        return
    fields = task_type.payload_schema.get("properties", {})
    _one_of("stake_field", task_type.stake_field, fields, "a field of payload_schema")
    declared = fields[task_type.stake_field]
    kinds = declared.get("type", []) if isinstance(declared, dict) else []
    if not _NUMBERS.intersection([kinds] if isinstance(kinds, str) else kinds):
        raise PlanProblem("stake_field", f"a field of type number or integer, got {task_type.stake_field!r}")


def _one_of(path: str, value: str, allowed: Collection[str], what: str = "one") -> None:
    if value not in allowed:
        known = ", ".join(sorted(allowed)) or "none are known"
        raise PlanProblem(
            path, f"{what} of: {known}; got {value!r}" if what == "one" else f"{what} ({known}), got {value!r}"
        )


def _unique(path: str, key: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise PlanProblem(f"{path}[{index}]" + (f".{key}" if key else ""), f"no duplicate, got {name!r} again")
        seen.add(name)
