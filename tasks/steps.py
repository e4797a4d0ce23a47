"""What acts: the executors of one action, a subtask's own or the one that undoes it, and how long it may take."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from domain.action import Ability
from domain.errors import ExecutorRejected
from domain.task_type import SubtaskSpec
from storage.repositories.actions import FALLBACK
from storage.unit_of_work import UnitOfWork
from tasks.context import StageContext
from tasks.settle import undo_of

_OVERDUE = text(
    "SELECT clock_timestamp() + make_interval(secs => :seconds) > LEAST(deadline_at, COALESCE((SELECT "
    "CAST(p->>'deadline_at' AS timestamptz) FROM jsonb_array_elements(plan->'subtasks') p WHERE p->>'id' = :subtask), "
    "deadline_at)) + make_interval(secs => parked_seconds) FROM tasks WHERE id = :task"
)


@dataclass(frozen=True)
class Way:
    """An executor with its parameters."""

    executor: str
    parameters: Mapping[str, Any]
    fallback: bool = False

    @property
    def recorded(self) -> str:
        """As the action's row names it."""
        return f"{FALLBACK}{self.executor}" if self.fallback else self.executor


@dataclass(frozen=True)
class Step:
    """One action of a task: a subtask's own, or the one that undoes it."""

    id: str
    spec: SubtaskSpec
    ways: tuple[Way, ...]
    """The declared executor, then the fallback where there is one."""
    undoes: bool = False

    def abilities(self, context: StageContext) -> tuple[Ability, ...]:
        """Of each way's target. Raises ExecutorRejected."""
        return tuple(context.executors[way.executor].ability(way.parameters) for way in self.ways)


def step_of(spec: SubtaskSpec) -> Step:
    """The subtask's own action."""
    own = Way(spec.executor, spec.executor_parameters)
    if spec.fallback is None:
        return Step(spec.id, spec, (own,))
    return Step(spec.id, spec, (own, Way(spec.fallback.executor, spec.fallback.parameters, fallback=True)))


def undo_step(spec: SubtaskSpec) -> Step:
    """The action that undoes the subtask's. Raises ExecutorRejected where the task type declares none."""
    if spec.compensate is None:
        raise ExecutorRejected(f"subtask {spec.id} declares no compensation")
    own = spec.compensate.executor is None
    executor, parameters = spec.compensate.executor or spec.executor, spec.compensate.parameters
    return Step(undo_of(spec.id), spec, (Way(executor, spec.executor_parameters if own else parameters),), undoes=True)


async def too_late(work: UnitOfWork, step: Step, seconds: float) -> bool:
    """Whether waiting goes past the subtask's deadline. What undoes has the deadline of its subtask once more."""
    values: dict[str, Any] = {"task": work.lease.task_id, "subtask": step.spec.id, "seconds": seconds}
    if not step.undoes:
        return bool(await work.connection.scalar(_OVERDUE, values))
    return bool(
        await work.connection.scalar(
            text(
                # What is paused goes on by one of the others, and time paused does not count.
                "SELECT max(at) + :allowed < clock_timestamp() FROM events "
                "WHERE task_id = :task AND event IN ('compensate.began', 'control.resume', 'control.cancel')"
            ),
            {"task": work.lease.task_id, "allowed": step.spec.deadline or timedelta(minutes=5)},
        )
    )
