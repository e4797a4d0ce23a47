"""Cancel, pause, resume: one linear order with everything else that is written for the task."""

from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.services.listing import unknown_task
from control_plane.services.reasons import bounded
from domain.errors import ControlRefused, RowHeld
from domain.task import END_STATES
from storage.repositories.control import Control, Standing, change, lock_standing
from storage.repositories.row_locks import holder_of, wait_for_locks, waited_in_vain

LOCK_SECONDS = 3.0
"""How long the task's row is waited for; no run of ours has it for so long, but one that stands still."""


class Controlled(BaseModel):
    """What became of the request."""

    task_id: str
    control: Control
    changed: bool
    """False where it had been asked for before."""
    held: bool
    """Whether a worker was at it, and so stops by itself."""


async def control(engine: AsyncEngine, task_id: str, asked: Control, *, principal: str, reason: str) -> Controlled:
    """Ask it of the task. Raises NotFound, InputError, ControlRefused with why it cannot be done, or RowHeld with by
    whom.
    """
    bounded(reason)
    try:
        return await _control(engine, task_id, asked, principal=principal, reason=reason)
    except DBAPIError as error:
        if not waited_in_vain(error):
            raise
    raise RowHeld(
        f"task {task_id} is locked by {await holder_of(engine, task_id)}: where its process stands still, Postgres "
        "takes the lock from it about a lease after its last word; nothing was changed"
    )


async def _control(engine: AsyncEngine, task_id: str, asked: Control, *, principal: str, reason: str) -> Controlled:
    async with engine.begin() as connection:
        await wait_for_locks(connection, LOCK_SECONDS)
        standing = await lock_standing(connection, task_id)
        if standing is None:
            raise unknown_task(task_id)
        refusal = _refusal(task_id, standing, asked)
        if refusal is not None:
            raise ControlRefused(refusal)
        changed = not _stands(standing, asked)
        if changed:
            await change(connection, task_id, standing, asked, principal=principal, reason=reason)
    return Controlled(task_id=task_id, control=asked, changed=changed, held=standing.held)


def _refusal(task_id: str, standing: Standing, asked: Control) -> str | None:
    if standing.status in END_STATES:
        return f"task {task_id} has already ended: {standing.status.value}"
    if asked is Control.CANCEL:
        return None
    if standing.cancel_requested:
        return f"task {task_id} was cancelled: it cannot be {asked.value}d any more"
    if asked is Control.RESUME and not standing.pause_requested:
        return f"task {task_id} is not paused"
    return None


def _stands(standing: Standing, asked: Control) -> bool:
    if asked is Control.CANCEL:
        return standing.cancel_requested
    return asked is Control.PAUSE and standing.pause_requested
