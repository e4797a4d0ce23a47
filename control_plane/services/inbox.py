"""The human inbox: what waits for a person, and answering it once."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from control_plane.services.listing import unknown_task
from domain.approval import DONE, NOT_DONE, QUESTIONS, ApprovalStatus
from domain.decision import ResultKind
from domain.errors import AnswerRefused, InputError, NotFound
from domain.task import END_STATES
from storage.repositories import inbox, listing
from storage.repositories.inbox import Answer
from storage.repositories.listing import Row

CHOOSING = frozenset(ResultKind) - {ResultKind.DECIDED}
"""Causes for which the panel leaves the choice of the action to the person."""


async def open_approvals(engine: AsyncEngine) -> Sequence[Row]:
    """What waits for an answer, the most urgent first."""
    async with engine.connect() as connection:
        return await inbox.open_approvals(connection)


async def approve(
    engine: AsyncEngine, given_id: str, *, principal: str, reason: str, action: str | None, digest: str | None
) -> Row:
    """Approve, and say what was answered. Raises NotFound, InputError or AnswerRefused with the exact reason."""
    async with engine.connect() as connection:
        asked = await _find(connection, given_id)
    option = _option(asked, action)
    return await _answer(engine, asked, ApprovalStatus.APPROVED, option, principal, reason, digest)


async def refuse(engine: AsyncEngine, given_id: str, *, principal: str, reason: str, digest: str | None) -> Row:
    """Refuse, and say what was answered. Raises NotFound, InputError or AnswerRefused with the exact reason."""
    async with engine.connect() as connection:
        asked = await _find(connection, given_id)
    if asked["cause"] in QUESTIONS:
        raise InputError(f"{_of_cause(asked['cause'])}: answer with approve and --action {DONE} or {NOT_DONE}")
    return await _answer(engine, asked, ApprovalStatus.REFUSED, None, principal, reason, digest)


async def _find(connection: AsyncConnection, given_id: str) -> Row:
    """The approval of that id, or the only open one of the task of that id."""
    found = await inbox.approval(connection, given_id)
    if found is not None:
        return found
    if await listing.task(connection, given_id) is None:
        raise NotFound(f"there is no approval or task {given_id}: list them with `parley approvals`")
    of_task = await inbox.approvals_of(connection, given_id)
    waiting = [row for row in of_task if row["status"] == ApprovalStatus.OPEN]
    if len(waiting) > 1:
        ids = ", ".join(row["id"] for row in waiting)
        raise InputError(f"task {given_id} has {len(waiting)} open approvals: name one of {ids}")
    if not of_task:
        raise NotFound(f"task {given_id} has no approval: list the open ones with `parley approvals`")
    # With none open, the newest one's refusal says what became of it.
    return (waiting or list(of_task))[0]


def _option(asked: Row, action: str | None) -> str | None:
    """The option chosen. Raises InputError when one is missing, unknown, or not the person's to choose."""
    options = [str(option) for option in asked["shown"].get("options", ())]
    if asked["cause"] not in CHOOSING | QUESTIONS:
        shown = asked["shown"].get("action")
        if action is not None and action != shown:
            raise InputError(f"--action {action}: the question is whether to {shown}: approve it as shown, or refuse")
        return None
    if action is None:
        raise InputError(f"{_of_cause(asked['cause'])}: choose with --action one of {', '.join(options)}")
    if action not in options:
        raise InputError(f"--action {action}: not among what was shown: choose one of {', '.join(options)}")
    return action


def _of_cause(cause: str) -> str:
    return "the question is what happened" if cause in QUESTIONS else f"the panel ended in {cause}"


async def _answer(
    engine: AsyncEngine,
    asked: Row,
    status: ApprovalStatus,
    option: str | None,
    principal: str,
    reason: str,
    digest: str | None,
) -> Row:
    if not reason.strip():
        raise InputError("--reason is empty: say why, it is kept with the answer")
    given = Answer(asked["id"], digest or asked["digest"], status, option, principal, reason)
    async with engine.begin() as connection:
        task = await inbox.lock_task(connection, asked["task_id"])
        over = task["status"] in END_STATES or (task["cancel_requested"] and asked["cause"] not in QUESTIONS)
        if over or not await inbox.answer(connection, given):
            raise AnswerRefused(_why(await _again(connection, asked), given, task))
        await inbox.wake(connection, task, asked["subtask_id"], given)
        return await _again(connection, asked)


async def _again(connection: AsyncConnection, asked: Row) -> Row:
    found = await inbox.approval(connection, asked["id"])
    if found is None:
        raise unknown_task(asked["task_id"])
    return found


def _why(row: Row, given: Answer, task: Row) -> str:
    """Why the answer was not taken."""
    name = f"approval {row['id']}"
    if row["status"] in (ApprovalStatus.APPROVED, ApprovalStatus.REFUSED):
        return f"{name} was already answered: {row['status']} by {row['answered_by']} at {_time(row['answered_at'])}"
    if row["status"] == ApprovalStatus.EXPIRED or row["late"]:
        return f"{name}: the answer is late: it expired at {_time(row['expires_at'])}"
    if task["status"] in END_STATES:
        return f"{name}: its task has ended ({task['status']}): nothing to answer"
    if task["cancel_requested"]:
        return f"{name}: its task was cancelled: nothing to answer"
    if row["submitter"] == given.principal:
        return f"{name}: {given.principal} submitted the task: somebody else has to answer"
    return f"{name}: the digest is not that of what is shown now: read it again with `parley approvals`"


def _time(moment: Any) -> str:
    return str(moment.isoformat(timespec="seconds"))
