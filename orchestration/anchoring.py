"""Anchors by the clock: once a minute, where a chain grew, by one process of all."""

import asyncio
import logging
import time
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.settings import Settings
from orchestration.anchors import Anchors, anchor, folder, known_key, read_anchors
from storage.engine import async_engine
from storage.sessions import LONG_IDLE_SECONDS

log = logging.getLogger(__name__)

_ONE = text("SELECT pg_try_advisory_xact_lock(7243902)")
_HEADS = text("SELECT count(*) AS tasks, COALESCE(sum(seq), 0) AS entries FROM audit_heads")

_EARLY = 0.9
"""An anchor that is nearly as old as the interval was made by the round before."""


async def keep_anchored(dsn: str, settings: Settings) -> None:
    """Anchor again and again, until cancelled; what fails is tried again a round later.

    On a thread with an event loop of its own: hashing all heads must not hold up the tasks that run on ours.
    """
    known: Anchors | None = None
    while settings.anchor_seconds > 0:
        await asyncio.sleep(settings.anchor_seconds)
        try:
            known = await asyncio.to_thread(asyncio.run, anchor_if_due(dsn, settings, known))
        except Exception as error:
            log.warning("anchoring failed, trying again: %s", error)


async def anchor_if_due(dsn: str, settings: Settings, known: Anchors | None = None) -> Anchors | None:
    """Anchor, unless another process is at it or was lately, or nothing changed since.

    Returns what was read of the file so far, to go on from.
    """
    path = folder(settings.home) / "anchors.jsonl"
    # The lock that it holds keeps nobody waiting, and an anchor over many heads takes its time.
    engine = async_engine(dsn, size=2, idle_seconds=LONG_IDLE_SECONDS)
    try:
        async with engine.connect() as connection:
            if _is_fresh(path, settings.anchor_seconds) or not await connection.scalar(_ONE):
                return known
            known = read_anchors(path, known_key(settings.home), known)
            if not known.problems and await _unchanged(connection, known):
                return known
            made = await anchor(engine, settings.home, None, known)
    finally:
        await engine.dispose()
    for problem in made.problems:
        log.error("nothing was anchored: %s %s %s", problem.kind, problem.task_id, problem.detail)
    return known


def _is_fresh(path: Path, seconds: float) -> bool:
    # One that is yet to come was written before the clock was put back.
    return path.exists() and 0 <= time.time() - path.stat().st_mtime < seconds * _EARLY


async def _unchanged(connection: AsyncConnection, known: Anchors) -> bool:
    # Sequences only grow: equal sums are equal heads.
    row = (await connection.execute(_HEADS)).one()
    return (row.tasks, row.entries) == (len(known.heads), sum(head.seq for head in known.heads.values()))
