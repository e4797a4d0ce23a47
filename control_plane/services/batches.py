"""Running a batch of cases, and following how far it is."""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import InputError, NotFound
from domain.task import Lane, TaskStatus
from storage.repositories import listing

_MOVING = (TaskStatus.SUBMITTED, TaskStatus.RUNNING)
_LOOK_SECONDS = 0.5

Follow = Callable[[Mapping[str, int]], None]
"""Told now and then how many of the batch's tasks have which status."""


@dataclass(frozen=True)
class BatchRequest:
    """Which cases to run, and how."""

    task_type: str
    cases: Path
    lane: Lane
    principal: str
    limit: int | None = None
    offset: int = 0
    seed: int = 0
    priority: int = 0
    batch_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """A batch that exists goes on; one that does not is made."""


@dataclass(frozen=True)
class BatchResult:
    """How a batch stands when none of its tasks moves any more."""

    batch_id: str
    counts: Mapping[str, int]
    """Task status -> number."""

    @property
    def tasks(self) -> int:
        """How many tasks the batch has."""
        return sum(self.counts.values())


async def run_batch(engine: AsyncEngine, request: BatchRequest, follow: Follow) -> BatchResult:
    """Run the batch's flow in this process, until every task has ended or waits for a person.

    Prefect is imported here, so PREFECT_API_URL must stand in the environment by now.
    """
    from flows.run_batch import run_batch as flow

    following = asyncio.create_task(_follow(engine, request.batch_id, follow))
    try:
        await flow(
            task_type=request.task_type,
            cases=str(request.cases),
            limit=request.limit,
            offset=request.offset,
            lane=request.lane.value,
            principal=request.principal,
            seed=request.seed,
            priority=request.priority,
            batch_id=request.batch_id,
        )
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return BatchResult(request.batch_id, await settled(engine, request.batch_id, follow))


async def settled(engine: AsyncEngine, batch_id: str, follow: Follow) -> Mapping[str, int]:
    """Wait until no task of the batch moves, and count them by status."""
    from orchestration.submission import batch_progress

    while True:
        counts = await batch_progress(engine, batch_id)
        follow(counts)
        if not any(counts.get(status, 0) for status in _MOVING):
            return counts
        await asyncio.sleep(_LOOK_SECONDS)


async def _follow(engine: AsyncEngine, batch_id: str, follow: Follow) -> None:
    from orchestration.submission import batch_progress

    while True:
        follow(await batch_progress(engine, batch_id))
        await asyncio.sleep(_LOOK_SECONDS)


def still(counts: Mapping[str, int]) -> int:
    """How many tasks have ended or wait for a person."""
    return sum(number for status, number in counts.items() if status not in _MOVING)


async def resumed(engine: AsyncEngine, request: BatchRequest, batch_id: str) -> BatchRequest:
    """The request to go on with a batch. Raises NotFound, or InputError when it was another batch."""
    async with engine.connect() as connection:
        row = await listing.batch(connection, batch_id)
    if row is None:
        raise NotFound(f"there is no batch {batch_id}: give the id that `parley run` printed")
    if (row["task_type"], row["source"]) != (request.task_type, str(request.cases)):
        raise InputError(f"batch {batch_id} is of {row['task_type']} from {row['source']}: name these")
    # Its tasks are known by their submitter and key: under another name they would be made twice.
    return replace(request, batch_id=batch_id, principal=row["principal"], lane=Lane(row["lane"]))
