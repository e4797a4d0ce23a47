"""Keeps the vector index abreast of the memory rows: Postgres is the truth, the index can be rebuilt."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.load import Catalog
from domain.memory import Memory, Recall
from domain.ports import MemoryIndex, Recaller
from storage.tables import memories

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ERASURES = text(
    "SELECT max(seq) AS newest, count(*) FILTER (WHERE event = 'task.erased') AS erased FROM events WHERE seq > :after"
)
_UNSETTLED = 1_000
"""Events that are looked at again: a sequence number can be seen after a later one."""
OVERLAP = timedelta(seconds=60)
"""Read again: `known_at` is when the recording transaction began, and it may commit after we have looked."""


class MemoryFeed:
    """Indexes every memory known before a moment, at most once for each moment."""

    def __init__(self, engine: AsyncEngine, index: MemoryIndex, catalog: Catalog) -> None:
        self._engine, self._index, self._catalog = engine, index, catalog
        self._lock = asyncio.Lock()
        self._seen = _EPOCH
        self._facts_stored = False
        self._looked = 0

    async def catch_up(self, as_of: datetime) -> None:
        """Index what became known up to `as_of`."""
        if as_of <= self._seen and self._facts_stored:
            return
        async with self._lock:
            if not self._facts_stored:
                await self._store_facts()
            if as_of > self._seen:
                await self._forget(self._seen - OVERLAP)
                await self._index.upsert(await self._known(self._seen - OVERLAP, as_of))
                self._seen = as_of

    def recaller(self, inner: Recaller) -> Recaller:
        """A recaller that catches up first."""
        return _FedRecaller(self, inner)

    async def forget(self) -> None:
        """Take erased memories out of the index, where some were erased since the last call."""
        async with self._engine.connect() as connection:
            found = (await connection.execute(_ERASURES, {"after": self._looked})).one()
        if found.erased:
            async with self._lock:
                await self._forget(_EPOCH)
        self._looked = max(self._looked, (found.newest or 0) - _UNSETTLED)

    async def _forget(self, after: datetime) -> None:
        gone = text("SELECT id, kind, task_type FROM memories WHERE data ? 'erased' AND known_at > :after")
        async with self._engine.connect() as connection:
            rows = [(row[0], row[1], row[2]) for row in await connection.execute(gone, {"after": after})]
        if rows:
            await self._index.remove(rows)

    async def _store_facts(self) -> None:
        rows = [_fact_row(fact) for name in self._catalog.names() for fact in self._catalog.facts(name)]
        if rows:
            async with self._engine.begin() as connection:
                await connection.execute(insert(memories).on_conflict_do_nothing(), rows)
        self._facts_stored = True

    async def _known(self, after: datetime, until: datetime) -> Sequence[Memory]:
        columns = [memories.c[name] for name in Memory.model_fields]
        statement = (
            select(*columns)
            .where(memories.c.known_at.is_not(None), memories.c.known_at > after, memories.c.known_at <= until)
            .where(~memories.c.data.has_key("erased"))
            .order_by(memories.c.seq)
        )
        async with self._engine.connect() as connection:
            return [Memory.model_validate(dict(row)) for row in (await connection.execute(statement)).mappings()]


class _FedRecaller:
    def __init__(self, feed: MemoryFeed, inner: Recaller) -> None:
        self._feed, self._inner = feed, inner

    async def recall(self, task_type: str, text: str, episodic: int, semantic: int, as_of: datetime) -> Recall:
        """Recall over an index that holds all that was known by `as_of`; degraded where it cannot be brought there."""
        try:
            await self._feed.catch_up(as_of)
        except SQLAlchemyError:
            raise
        except Exception as error:
            return Recall(degraded=f"the memory index is away: {type(error).__name__}")
        return await self._inner.recall(task_type, text, episodic, semantic, as_of)


def _fact_row(fact: Memory) -> dict[str, Any]:
    return {**fact.model_dump(), "kind": "semantic", "created_at": fact.known_at}
