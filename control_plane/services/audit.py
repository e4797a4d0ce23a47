"""Verifying audit chains."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.audit import ROLES_CHAIN
from domain.audit_check import check
from domain.audit_found import Found, Problem
from domain.errors import InputError, NotFound
from domain.merkle import Head
from orchestration import anchors as anchoring
from storage.repositories.chains import load_found, task_ids


@dataclass
class Verified:
    """What verifying found."""

    tasks: int = 0
    entries: int = 0
    unchained: int = 0
    """Tasks from before there was an audit chain."""
    erased: int = 0
    """Bodies that an erasure took, their hashes standing."""
    anchor: str | None = None
    """When the newest anchor was made that this was compared with; without one a cut tail cannot be seen."""
    key: str | None = None
    """Who signed it."""
    note: str | None = None
    """What is to be said of the file of anchors, though nothing is wrong."""
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def take(self, found: Found, anchored: Head | None) -> None:
        """Check one task."""
        checked = check(found, anchored)
        self.tasks += found.task_id != ROLES_CHAIN
        self.entries += len(found.chain)
        self.unchained += not found.chain and found.head is None and anchored is None
        self.erased += checked.erased
        self.problems.extend(checked.problems)


async def verify(engine: AsyncEngine, home: Path, task_id: str | None, anchors_at: Path | None) -> Verified:
    """Verify every chain, or one task's, against its events and rows, and against the newest anchor.

    Raises NotFound, InputError.
    """
    began = time.perf_counter()
    anchors = read_anchors(home, anchors_at)
    result = Verified(problems=list(anchors.problems))
    if anchors.header is not None:
        result.anchor, result.key = anchors.header.at, anchors.header.key
    result.note = anchors.note
    left = dict(anchors.heads)
    async with engine.connect() as connection:
        # Everything is read as it stood at one moment.
        await connection.execution_options(isolation_level="REPEATABLE READ")
        if task_id is not None:
            await _one(connection, result, task_id, left.get(task_id))
        else:
            async for ids in task_ids(connection):
                for found in await load_found(connection, ids):
                    result.take(found, left.pop(found.task_id, None))
            result.problems.extend(_gone(head) for head in left.values())
    result.seconds = time.perf_counter() - began
    return result


async def _one(connection: AsyncConnection, result: Verified, task_id: str, anchored: Head | None) -> None:
    found = (await load_found(connection, [task_id]))[0]
    if found.task is None and not found.chain and found.head is None:
        if anchored is None:
            raise NotFound(f"there is no task {task_id}")
        result.problems.append(_gone(anchored))
        return
    result.take(found, anchored)


def _gone(head: Head) -> Problem:
    return Problem(head.task_id, head.seq, "cut", f"an anchor holds its chain of {head.seq} entries; the task is gone")


def read_anchors(home: Path, given: Path | None) -> anchoring.Anchors:
    """The anchors to compare with. Raises InputError where the named file is not there."""
    if given is not None and not given.exists():
        raise InputError(f"--anchors {given}: there is no such file")
    return anchoring.read_anchors(given or anchoring.folder(home) / "anchors.jsonl", anchoring.known_key(home))
