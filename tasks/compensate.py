"""Compensate: a task that cannot go on closes what it had not started, and undoes what it did, the last first.

`compensate` says what is next; `undo` does it, as an action of its own in the same ledger. What cannot be undone, and
what may or may not have happened, is put to a person, and nothing that came earlier is undone before the answer.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import RowMapping

from domain.action import ActionRequest, ActionStatus, Askable, ExecutorKind
from domain.approval import UNDO_FAILED, ApprovalStatus
from domain.canonical import canonical_json
from domain.errors import ExecutorError
from domain.task import ENDED_SUBTASK, SubtaskStatus
from storage.repositories.actions import actions_of, end_action, load_standing, take_action
from storage.repositories.approvals import close_approvals, latest_question
from storage.repositories.tasks import load_subtasks, set_subtask
from storage.tables import verdicts
from storage.unit_of_work import UnitOfWork
from tasks.context import StageContext
from tasks.execute import CRASHED, judged
from tasks.ledger import (
    Later,
    Step,
    Taken,
    ask_first,
    call,
    give_up_on,
    note_error,
    step_of,
    take,
    too_late,
    undo_step,
    write_done,
)
from tasks.policy import StagePolicy
from tasks.settle import UNDO, ask, settle, undo_of
from tasks.verdicts import verdict_row

POLICY = StagePolicy("compensate", timeout_seconds=60)


async def compensate(context: StageContext, cause: str) -> dict[str, Any]:
    """Close what is open, then say what is next. Returns {next: undo | wait | closed, subtask}.

    `undo`: that subtask's action is to be undone; `wait`: for a person's answer.
    """
    task_id = context.task.id
    async with context.work(halted_too=True) as work:
        await work.event("compensate:began", "compensate.began", {"cause": cause})
        actions = await actions_of(work.connection, task_id)
        await _ask_of_doubtful(context, work, actions)
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
        told = {
            "cause": cause,
            "skipped": [row["subtask_id"] for row in rows if row["status"] == SubtaskStatus.SKIPPED],
            "undone": [row["step"] for row in actions if _is_undo(row) and row["status"] == ActionStatus.DONE],
            "not_undone": [row["step"] for row in actions if _is_undo(row) and row["status"] != ActionStatus.DONE],
        }
        await work.event("compensate", "compensate.done", told)
    return {"next": "closed", "subtask": None}


async def _ask_of_doubtful(context: StageContext, work: UnitOfWork, actions: Sequence[RowMapping]) -> None:
    """No call starts any more, so what was interrupted in its call is a person's to tell, or its target's."""
    for row in actions:
        if _is_undo(row) or row["status"] not in (ActionStatus.INTENT, ActionStatus.SENDING):
            continue
        step = step_of(context.task_type.subtask(row["step"]))
        if not await _was_told(context, work, step, row):
            await give_up_on(
                context, work, step, "it was interrupted in its call, and nothing tells whether it happened"
            )


async def _was_told(context: StageContext, work: UnitOfWork, step: Step, row: RowMapping) -> bool:
    """Whether the target itself says that it happened; then it is written so."""
    way = next((way for way in step.ways if way.recorded == row["executor"]), None)
    executor = context.executors[way.executor] if way else None
    if way is None or row["status"] != ActionStatus.SENDING or not isinstance(executor, Askable):
        return False
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
        response = await executor.find(request)
    except ExecutorError:
        # It cannot be asked now: a person is.
        return False
    if response is None:
        return False
    kind = ExecutorKind(row["kind"])
    await take_action(work.connection, request, way.recorded, kind, asking=True)
    verdict, kept = await judged(context, step.id, way.executor, response)
    await work.add(verdicts, verdict_row(context.task.id, f"response:{step.id}", verdict, step.id))
    await end_action(work.connection, request, ActionStatus.DONE, response=canonical_json(kept))
    await set_subtask(work.connection, context.task.id, step.id, SubtaskStatus.DONE, action=request.action)
    data = {"action": request.action, "executor": way.recorded, "key": request.idempotency_key}
    await work.event(f"execute:{step.id}", "execute.done", data, step.id)
    return True


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
    """Undo what the subtask did. Returns {ended: done | failed | unknown | later, seconds}; see tasks.execute."""
    step = undo_step(context.task_type.subtask(subtask_id))
    while True:
        async with context.work(halted_too=True) as work:
            taken = await _take(context, work, step)
        if isinstance(taken, dict):
            return taken
        try:
            found = await ask_first(context, step, taken)
            if isinstance(found, Taken):
                taken = found
                found = await call(context, taken)
        except ExecutorError as error:
            left = await note_error(context, step, taken, error)
            if left == "opened":
                continue
            if left == "retry":
                raise
            return {"ended": left} if left == "unknown" else await give_up_undo(context, subtask_id, str(error))
        if isinstance(found, Later):
            async with context.work(halted_too=True) as work:
                return await _wait(context, work, step, found)
        return await _finish(context, step, taken, found)


async def give_up_undo(context: StageContext, subtask_id: str, error: str) -> dict[str, Any]:
    """What could not be undone goes to a person. Returns {ended: failed | unknown}."""
    async with context.work(halted_too=True) as work:
        return await _fail(context, work, undo_step(context.task_type.subtask(subtask_id)), error)


async def _take(context: StageContext, work: UnitOfWork, step: Step) -> Taken | dict[str, Any]:
    [ability] = step.abilities(context)
    standing = await load_standing(work.connection, context.task.id, step.id, [ability.target])
    if standing.action is not None and standing.action.status is ActionStatus.FAILED:
        return await _fail(context, work, step, standing.action.error or "its action failed")
    if standing.action is not None and standing.action.status in (ActionStatus.DONE, ActionStatus.UNKNOWN):
        return {"ended": standing.action.status.value}
    if standing.doubtful and ability.kind is ExecutorKind.BLIND:
        return await _fail(context, work, step, CRASHED)
    request = await _request(context, work, step)
    taken = await take(context, work, step, standing, request)
    return await _wait(context, work, step, taken) if isinstance(taken, Later) else taken


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


async def _finish(context: StageContext, step: Step, taken: Taken, response: dict[str, Any]) -> dict[str, Any]:
    verdict, kept = await judged(context, step.spec.id, taken.way.executor, response)
    async with context.work(halted_too=True) as work:
        await write_done(context, work, step, taken, canonical_json(kept))
        await work.add(verdicts, verdict_row(context.task.id, f"response:{step.id}", verdict, step.spec.id))
        data = {"step": step.id, "executor": taken.way.recorded, "key": taken.request.idempotency_key}
        await work.event(f"execute:{step.id}", "compensate.undone", data, step.spec.id)
    return {"ended": "done"}


async def _wait(context: StageContext, work: UnitOfWork, step: Step, later: Later) -> dict[str, Any]:
    if await too_late(work, step, later.seconds):
        return await _fail(context, work, step, f"it waited too long: {later.why}")
    await work.event(
        f"execute:{step.id}:waits:{work.lease.fence}", "compensate.waits", {"why": later.why}, step.spec.id
    )
    return {"ended": "later", "seconds": later.seconds}


async def _fail(context: StageContext, work: UnitOfWork, step: Step, error: str) -> dict[str, Any]:
    """Unknown, or failed; either way a person is asked, once."""
    left = await give_up_on(context, work, step, error)
    if left == "failed" and await latest_question(work.connection, context.task.id, step.id) is None:
        await work.event(
            f"execute:{step.id}", "compensate.failed", {"error": error[:500], "step": step.id}, step.spec.id
        )
        await ask(context, work, step.id, UNDO_FAILED, error[:500])
    return {"ended": left}
