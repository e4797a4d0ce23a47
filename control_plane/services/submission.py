"""Submitting one task, and waiting for it."""

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.services.listing import unknown_task
from domain.task import TaskStatus
from storage.repositories import listing

_LOOK_SECONDS = 0.3
_MOVING = (TaskStatus.SUBMITTED, TaskStatus.RUNNING)
FAILED = frozenset({TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.EXPIRED, TaskStatus.QUARANTINED})
"""Ends in which the task was not dealt with; a denial is an answer."""


async def wait(engine: AsyncEngine, task_id: str) -> dict[str, Any]:
    """Wait until the task has ended or waits for a person; its row. Raises NotFound."""
    while True:
        async with engine.connect() as connection:
            row = await listing.task(connection, task_id)
        if row is None:
            raise unknown_task(task_id)
        if row["status"] not in _MOVING:
            return row
        await asyncio.sleep(_LOOK_SECONDS)


async def anybody_works(engine: AsyncEngine, lease_seconds: int) -> bool:
    """Whether a worker lives; without one, what was submitted stays where it is."""
    async with engine.connect() as connection:
        return await listing.live_workers(connection, lease_seconds) > 0
