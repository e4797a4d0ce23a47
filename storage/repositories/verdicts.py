"""What policy said."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import unmarked
from domain.guard import Hop, Verdict
from storage.tables import verdicts


async def last_verdict(connection: AsyncConnection, task_id: str, subtask_id: str) -> Verdict | None:
    """The guard's last word on the subtask's action."""
    here = (verdicts.c.task_id == task_id, verdicts.c.subtask_id == subtask_id, verdicts.c.hop == Hop.ARGUMENTS)
    statement = select(verdicts.c.body).where(*here).order_by(verdicts.c.at.desc(), verdicts.c.key.desc()).limit(1)
    body = (await connection.execute(statement)).scalar_one_or_none()
    return None if body is None else Verdict.model_validate(unmarked(body))
