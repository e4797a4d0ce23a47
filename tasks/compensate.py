"""Compensate: a task that cannot go on closes what it had not started, and undoes what it did, the last first.

`compensate` says what is next; `undo` does it, as an action of its own in the same ledger. What cannot be undone, and
what may or may not have happened, is put to a person, and nothing that came earlier is undone before the answer.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.engine import RowMapping

from domain.action import UNDO, ActionRequest, ActionStatus, Askable, ExecutorKind
from domain.approval import UNDO_FAILED, ApprovalStatus
from domain.canonical import canonical_json
from domain.errors import ExecutorError, TaskPaused
from domain.guard import Verdict
from domain.task import ENDED_SUBTASK, SubtaskStatus
from storage.repositories.actions import actions_of, end_action, load_standing, take_action
from storage.repositories.approvals import close_approvals, latest_question
from storage.repositories.tasks import load_subtasks, note_undone, set_subtask
from storage.tables import verdicts
from storage.unit_of_work import UnitOfWork
from tasks import ledger
from tasks.context import StageContext
from tasks.execute import write_done
from tasks.ledger import CRASHED, Ended
from tasks.policy import StagePolicy
from tasks.settle import ask, settle, undo_of
from tasks.steps import Step, Way, step_of, undo_step
from tasks.taking import Later, Taken, take
from tasks.verdicts import verdict_row

POLICY = StagePolicy("compensate", timeout_seconds=60)
_ASK_SECONDS = 30.0
"""A target that takes longer to say what happened leaves it to a person; well within the stage's own time."""
_BEGAN = ("compensate:began", "compensate.began")


class Told(NamedTuple):
    """What a target says that happened, as it may be kept."""

    request: ActionRequest
    way: Way
    kind: ExecutorKind
    verdict: Verdict
    kept: dict[str, Any]


async def compensate(context: StageContext, cause: str) -> dict[str, Any]:
    """Close what is open, then say what is next. Returns {next: undo | wait | closed, subtask}.

    `undo`: that subtask's action is to be undone; `wait`: for a person's answer.
    """
    task_id = context.task.id
    told = await _ask_targets(context, cause)
    async with context.work(halted_too=True) as work:
        await work.event(*_BEGAN, {"cause": cause})
        actions = await actions_of(work.connection, task_id)
        await _settle_doubtful(context, work, actions, told)
        open_steps = await _take_answers(context, work, [row["step"] for row in actions])
        for row in await load_subtasks(work.connection, task_id):
            if SubtaskStatus(row["status"]) not in ENDED_SUBTASK and row["subtask_id"] not in open_steps:
                await set_subtask(work.connection, task_id, row["subtask_id"], SubtaskStatus.SKIPPED, reason=cause)
        await close_approvals(work.connection, task_id)
        if open_steps:
            return {"next": "wait", "subtask": None}
        rows = await load_subtasks(work.connection, task_id)
        subtask_id = _next(context, actions, rows)
        if subtask_id is not None:
            return {"next": "undo", "subtask": subtask_id}
        summary = {
            "cause": cause,
            "skipped": [row["subtask_id"] for row in rows if row["status"] == SubtaskStatus.SKIPPED],
            "undone": [row["step"] for row in actions if _is_undo(row) and row["status"] == ActionStatus.DONE],
            "not_undone": [row["step"] for row in actions if _is_undo(row) and row["status"] != ActionStatus.DONE],
        }
        await work.event("compensate", "compensate.done", summary)
    return {"next": "closed", "subtask": None}


async def _ask_targets(context: StageContext, cause: str) -> dict[str, Told]:
    """By step, what the targets themselves say that happened of what was interrupted in its call.

    They are asked before the task's row is locked: an answer may take as long as a target likes.
    """
    async with context.engine.connect() as connection:
        doubtful = [row for row in await actions_of(connection, context.task.id) if _is_doubtful(row)]
    if not doubtful:
        return {}
    async with context.work(halted_too=True) as work:
        # Behind this, a cancel does not cut the run off.
        await work.event(*_BEGAN, {"cause": cause})
    found = await asyncio.gather(*(_told(context, row) for row in doubtful))
    return {row["step"]: told for row, told in zip(doubtful, found, strict=True) if told is not None}


async def _told(context: StageContext, row: RowMapping) -> Told | None:
    """None where it did not happen, as far as the target knows, or where it cannot be asked: a person is."""
    step = step_of(context.task_type.subtask(row["step"]))
    way = next((way for way in step.ways if way.recorded == row["executor"]), None)
    executor = context.executors[way.executor] if way else None
    if way is None or row["status"] != ActionStatus.SENDING or not isinstance(executor, Askable):
        return None
    request = ActionRequest(
        task_id=context.task.id,
        subtask_id=step.id,
        idempotency_key=row["idempotency_key"],
        action=row["request"]["action"],
        arguments=row["request"]["arguments"],
        fence=context.lease.fence,
        parameters=dict(way.parameters),
    )
    try:
        async with asyncio.timeout(_ASK_SECONDS):
            response = await executor.find(request)
    except (ExecutorError, TimeoutError):
        return None
    if response is None:
        return None
    return Told(request, way, ExecutorKind(row["kind"]), *await ledger.judged(context, step.id, way.executor, response))


async def _settle_doubtful(
    context: StageContext, work: UnitOfWork, actions: Sequence[RowMapping], told: Mapping[str, Told]
) -> None:
    """No call starts any more, so what was interrupted in its call is its target's to tell, or a person's."""
    for row in actions:
        if not _is_doubtful(row):
            continue
        if row["step"] in told:
            await _write_told(context, work, row["step"], told[row["step"]])
        else:
            step = step_of(context.task_type.subtask(row["step"]))
            await ledger.give_up_on(
                context, work, step, "it was interrupted in its call, and nothing tells whether it happened"
            )


async def _write_told(context: StageContext, work: UnitOfWork, step: str, told: Told) -> None:
    await take_action(work.connection, told.request, told.way.recorded, told.kind, asking=True)
    await work.add(verdicts, verdict_row(context.task.id, f"response:{step}", told.verdict, step))
    await end_action(work.connection, told.request, ActionStatus.DONE, response=canonical_json(told.kept))
    await write_done(work, step, told.request, told.way.recorded)


def _is_doubtful(row: RowMapping) -> bool:
    return not _is_undo(row) and row["status"] in (ActionStatus.INTENT, ActionStatus.SENDING)


async def _take_answers(context: StageContext, work: UnitOfWork, steps: Sequence[str]) -> set[str]:
    """Settle what was answered; the steps whose question is open still."""
    await work.flush()
    still = set()
    for step in steps:
        question = await latest_question(work.connection, context.task.id, step)
        if question is None or question.consumed:
            continue
        if question.status is ApprovalStatus.OPEN:
            still.add(step)
        else:
            await settle(context, work, question)
    return still


def _next(context: StageContext, actions: Sequence[RowMapping], rows: Sequence[RowMapping]) -> str | None:
    """The subtask that acted last among those to be undone, and whose undoing has not ended."""
    acted = {row["subtask_id"] for row in rows if row["status"] == SubtaskStatus.DONE}
    undoing = {row["step"]: ActionStatus(row["status"]) for row in actions if _is_undo(row)}
    for row in reversed(actions):
        if _is_undo(row) or row["step"] not in acted or context.task_type.subtask(row["step"]).compensate is None:
            continue
        if undoing.get(undo_of(row["step"])) in (None, ActionStatus.INTENT, ActionStatus.SENDING):
            return str(row["step"])
    return None


def _is_undo(row: RowMapping) -> bool:
    return str(row["step"]).endswith(UNDO)


async def undo(context: StageContext, subtask_id: str) -> dict[str, Any]:
    """Undo what the subtask did. Returns {ended: done | failed | unknown | later, seconds}; see tasks.ledger.act."""
    return await ledger.act(context, _undoing(context, subtask_id))


async def give_up_undo(context: StageContext, subtask_id: str, error: str) -> dict[str, Any]:
    """What could not be undone goes to a person. Returns {ended: failed | unknown}."""
    return await ledger.give_up(context, _undoing(context, subtask_id), error)


def _undoing(context: StageContext, subtask_id: str) -> "Undoing":
    return Undoing(context, undo_step(context.task_type.subtask(subtask_id)))


@dataclass(frozen=True)
class Undoing:
    """What undoes a subtask's action."""

    context: StageContext
    step: Step

    async def begin(self, work: UnitOfWork) -> Taken | Later | Ended:
        """Take it, where it has not ended. Raises ExecutorRejected, and TaskPaused where the task is to stop before."""
        context, step = self.context, self.step
        if work.paused:
            raise TaskPaused(f"task {context.task.id} is to pause before it undoes {step.spec.id}")
        [ability] = step.abilities(context)
        standing = await load_standing(work.connection, context.task.id, step.id, [ability.target])
        action = standing.action
        if action is not None and action.status is ActionStatus.FAILED:
            return await ledger.fail(context, work, self, action.error or "its action failed")
        if action is not None and action.status in (ActionStatus.DONE, ActionStatus.UNKNOWN):
            return {"ended": action.status.value}
        if not standing.may_go_on(ability.kind):
            return await ledger.fail(context, work, self, CRASHED)
        return await take(context, work, step, standing, await _request(context, work, step))

    async def done(self, work: UnitOfWork, taken: Taken) -> None:
        """Say so; the subtask stays done, and says that it was undone."""
        await note_undone(work.connection, self.context.task.id, self.step.spec.id)
        data = {"step": self.step.id, "executor": taken.way.recorded, "key": taken.request.idempotency_key}
        await work.event(f"execute:{self.step.id}", "compensate.undone", data, self.step.spec.id)

    async def failed(self, work: UnitOfWork, error: str) -> None:
        """A person is asked, once."""
        step = self.step
        if await latest_question(work.connection, self.context.task.id, step.id) is None:
            data = {"error": error, "step": step.id}
            await work.event(f"execute:{step.id}", "compensate.failed", data, step.spec.id)
            await ask(self.context, work, step.id, UNDO_FAILED, error)


async def _request(context: StageContext, work: UnitOfWork, step: Step) -> ActionRequest:
    """What undoes: it names what it undoes, with its key."""
    task_id, spec = context.task.id, step.spec
    done = (await load_standing(work.connection, task_id, spec.id)).action
    undoes: dict[str, Any] = {"key": f"{task_id}/{spec.id}", **(done.request if done else {})}
    return ActionRequest(
        task_id=task_id,
        subtask_id=step.id,
        idempotency_key=f"{task_id}/{step.id}",
        action=spec.compensate.action if spec.compensate else "compensate",
        arguments={"undoes": undoes},
        fence=context.lease.fence,
    )
