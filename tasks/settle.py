"""Settle: a person says what became of an action that nothing else tells about."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.action import UNDO
from domain.approval import DONE, EFFECT_UNKNOWN, NOT_DONE, Approval, ApprovalStatus
from domain.task import SubtaskStatus
from storage.repositories.actions import load_standing
from storage.repositories.approvals import consume_approval
from storage.repositories.tasks import note_undone, set_subtask
from storage.unit_of_work import UnitOfWork
from tasks.asking import Request, open_request, tell_expired
from tasks.context import StageContext


def undo_of(subtask_id: str) -> str:
    """The step that undoes the subtask's action."""
    return f"{subtask_id}{UNDO}"


async def ask(context: StageContext, work: UnitOfWork, step: str, cause: str, why: str) -> None:
    """Put the question to a person; a subtask's own action parks its subtask."""
    task = context.task
    await work.flush()
    # What happened is said by one who looked, not voted on.
    asks = context.task_type.asks.model_copy(update={"quorum": 1, "of": 1})
    shown = {**await shown_of(work.connection, task.id, step, cause, why), "asks": asks.shown()}
    told = await open_request(context, work, asked := Request(step, cause, asks, shown))
    if not step.endswith(UNDO):
        await set_subtask(work.connection, task.id, step, SubtaskStatus.PARKED, reason=cause)
    key = f"settle:{asked.id_in(task.id)}"
    await work.event(key, "settle.asked", {**told, "step": step}, step.removesuffix(UNDO))


async def shown_of(connection: AsyncConnection, task_id: str, step: str, cause: str, why: str) -> dict[str, Any]:
    """What a person is shown of the step's action, but for who is asked."""
    found = (await load_standing(connection, task_id, step)).action
    sent = {} if found is None else {"executor": found.executor, "attempts": found.attempts, **found.request}
    unknown = cause == EFFECT_UNKNOWN
    return {
        "question": "Did it happen?" if unknown else "It could not be undone. Was it undone by hand?",
        "cause": cause,
        "step": step,
        "action": None,
        "arguments": {},
        "options": [DONE, NOT_DONE],
        "sent": {"key": f"{task_id}/{step}", **sent},
        "reason": why,
    }


async def settle(context: StageContext, work: UnitOfWork, approval: Approval) -> bool:
    """Take the answer once: whether it was done. Without one in time, it counts as not done, and is said so."""
    step, subtask_id = approval.subtask_id, approval.subtask_id.removesuffix(UNDO)
    done = approval.status is ApprovalStatus.APPROVED and approval.option == DONE
    if not await consume_approval(work.connection, approval.id):
        return done
    if approval.status is ApprovalStatus.EXPIRED:
        said = "no answer came in time to whether it was done"
        await tell_expired(work, context.task.id, approval.id, approval.asks.role_at(approval.step))
    else:
        said = f"{approval.answered_by} says that it was {'done' if done else 'not done'}: {approval.reason}"
    if step == subtask_id:
        found = (await load_standing(work.connection, context.task.id, step)).action
        action = found.request.get("action") if found is not None and done else None
        status = SubtaskStatus.DONE if done else SubtaskStatus.FAILED
        reason = None if done else said
        await set_subtask(work.connection, context.task.id, subtask_id, status, action=action, reason=reason)
    elif done:
        await note_undone(work.connection, context.task.id, subtask_id)
    data = {"approval": approval.id, "step": step, "done": done, "by": approval.answered_by, "said": said}
    await work.event(f"settle:{approval.id}:taken", "settle.taken", data, subtask_id)
    return done
