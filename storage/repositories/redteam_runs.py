"""Runs of the red team: figures, never texts."""

from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.evaluation_tables import redteam_runs
from storage.repositories.listing import Row, rows

LAST = "last"
"""Stands for the newest run of the task type."""


async def save(
    connection: AsyncConnection, run_id: str, task_type: str, policy_hash: str, passed: bool, body: dict[str, Any]
) -> None:
    """Keep the run."""
    values = {"id": run_id, "task_type": task_type, "policy_hash": policy_hash, "passed": passed, "body": body}
    await connection.execute(insert(redteam_runs).values(values))


async def find(connection: AsyncConnection, task_type: str, name: str) -> Row | None:
    """The run of that id or the beginning of one, or the newest one for `last`, of the task type."""
    query = select(redteam_runs).where(redteam_runs.c.task_type == task_type)
    if name != LAST:
        query = query.where(redteam_runs.c.id.startswith(name, autoescape=True))
    found = await rows(connection, query.order_by(redteam_runs.c.created_at.desc(), redteam_runs.c.id).limit(1))
    return found[0] if found else None
