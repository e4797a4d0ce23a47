"""Verdicts as a run reads them back."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.guard import Verdict

_LATEST = text(
    "SELECT body FROM verdicts WHERE task_id = :task AND subtask_id = :subtask AND hop = 'arguments' "
    "ORDER BY at DESC, key DESC LIMIT 1"
)


async def latest_argument_verdict(connection: AsyncConnection, task_id: str, subtask_id: str) -> Verdict | None:
    """What policy last said of the subtask's action."""
    body = await connection.scalar(_LATEST, {"task": task_id, "subtask": subtask_id})
    return Verdict.model_validate(body) if body else None
