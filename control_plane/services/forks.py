"""A new task that goes on from a stage of a finished one, with what was recorded before it."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.load import Catalog
from control_plane.services.erased import refuse_erased
from control_plane.services.listing import unknown_task
from domain.audit import unmarked
from domain.decision import Decision
from domain.errors import InputError
from domain.guard import Effect
from domain.plan import Plan
from domain.task import END_STATES, was_undone
from domain.task_type import TaskType
from storage.repositories import forks
from storage.repositories.records import TaskRecords, load_records

STAGES = ("negotiate", "guard", "approve", "execute")
_STOPS = frozenset({Effect.DENY, Effect.HALT})


@dataclass(frozen=True)
class Fork:
    """What is wanted."""

    task_id: str
    stage: str
    subtask_id: str | None
    execute: bool
    """Whether its actions are real."""
    principal: str


async def fork_task(engine: AsyncEngine, catalog: Catalog, wanted: Fork) -> dict[str, Any]:
    """Make the fork; a worker takes it up. Raises NotFound, and InputError where the stage cannot be begun at."""
    if wanted.stage not in STAGES:
        raise InputError(f"--from {wanted.stage}: give one of {', '.join(STAGES)}")
    async with engine.begin() as connection:
        records = await load_records(connection, wanted.task_id)
        if records is None:
            raise unknown_task(wanted.task_id)
        refuse_erased(records.row)
        if records.row["status"] not in END_STATES:
            raise InputError(f"task {wanted.task_id} is {records.row['status']}: only a finished task can be forked")
        kind = catalog.task_type(records.row["task_type"])
        subtask_id = _subtask(records, wanted)
        plan = Plan.model_validate(records.row["plan"])
        _refuse_undone(records, plan, subtask_id)
        _check(catalog, records, wanted, subtask_id)
        copy = forks.Copy(
            source=wanted.task_id,
            task_id=str(uuid.uuid4()),
            principal=wanted.principal,
            stage=wanted.stage,
            subtask_id=subtask_id,
            dry_run=not wanted.execute,
            deadline=kind.sla.deadline,
            type_version=kind.version,
            again=_again(plan, subtask_id),
        )
        await forks.store(connection, copy, records)
    return {
        "task_id": copy.task_id,
        "forked_from": wanted.task_id,
        "fork_stage": copy.fork_stage,
        "dry_run": copy.dry_run,
    }


def _subtask(records: TaskRecords, wanted: Fork) -> str:
    if records.row["plan"] is None:
        raise InputError(f"task {wanted.task_id} was denied at the door: it has no stage to go on from")
    names = [step["id"] for step in records.row["plan"]["subtasks"]]
    if wanted.subtask_id is None and len(names) > 1:
        raise InputError(f"task {wanted.task_id} has several subtasks: give --subtask, one of {', '.join(names)}")
    name = wanted.subtask_id or names[0]
    if name not in names:
        raise InputError(f"--subtask {name}: give one of {', '.join(names)}")
    return name


def _again(plan: Plan, subtask_id: str) -> frozenset[str]:
    """The subtask and all that depend on it: what is done anew."""
    found = {subtask_id}
    for step in plan.subtasks:  # in topological order
        if found & {*step.depends_on}:
            found.add(step.id)
    return frozenset(found)


def _refuse_undone(records: TaskRecords, plan: Plan, subtask_id: str) -> None:
    """Raise InputError where the fork would stand on what is not there any more, with the nearest that would not."""
    undone = {row["subtask_id"] for row in records.subtasks if was_undone(row["status"], row["reason"])}
    missing = undone - _again(plan, subtask_id)
    if not missing:
        return
    ids = [step.id for step in plan.subtasks]
    told = f"{', '.join(name for name in ids if name in missing)}: undone when the task was rolled back"
    before = [name for name in ids if undone <= _again(plan, name)]
    if not before:
        raise InputError(f"{told}, and no stage lies before all of them: submit it anew")
    raise InputError(f"{told}: fork with --from negotiate --subtask {before[-1]}, or from a later stage of it")


def _check(catalog: Catalog, records: TaskRecords, wanted: Fork, subtask_id: str) -> None:
    """Raise InputError where the records do not lead up to the stage."""
    kind: TaskType = catalog.task_type(records.row["task_type"])
    planned = {step["id"] for step in records.row["plan"]["subtasks"]}
    if planned != {spec.id for spec in kind.plan.subtasks}:
        raise InputError(f"{kind.name}: its subtasks are others now than when {wanted.task_id} was planned")
    if wanted.stage == "negotiate":
        return
    row = records.decisions.get(subtask_id)
    if row is None:
        raise InputError(f"{subtask_id} has no decision: fork with --from negotiate")
    if wanted.stage == "guard" and Decision.model_validate(unmarked(row["body"])).option is None:
        raise InputError(f"the panel of {subtask_id} did not decide: fork with --from negotiate or approve")
    verdict = forks.last_verdict(records, subtask_id)
    if wanted.stage == "approve" and not forks.asked(records, subtask_id):
        raise InputError(f"nothing of {subtask_id} was asked of a person: fork with --from guard")
    if wanted.stage == "execute":
        if verdict is None or verdict["effect"] != Effect.ALLOW:
            raise InputError(f"the guard has not allowed the action of {subtask_id}: fork with --from guard")
        if verdict["policy_hash"] != catalog.gate(kind.name).policy_hash:
            raise InputError(
                f"the policies have changed since the guard looked at {subtask_id}: fork with --from guard"
            )
        if wanted.execute and verdict["body"].get("approval_id") is not None:
            raise InputError("a person's answer counts once: fork with --from approve to act for real")
