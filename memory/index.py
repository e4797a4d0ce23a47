"""The only Qdrant code: memories as points, one collection for each kind and task type."""

import asyncio
import contextlib
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from qdrant_client import AsyncQdrantClient, QdrantClient, models

from domain.errors import StackError
from domain.memory import Memory
from memory.embedding import DIMENSIONS, embed

NAMESPACE = uuid.UUID("5b2f6d0e-6f0c-4c5e-9a57-1d7c9e5f4a10")
BATCH = 256
TIMEOUT_SECONDS = 10


class Calls(Protocol):
    """The few calls that an index needs, whoever answers them."""

    exact: ClassVar[dict[str, Any]]
    """Arguments of an exact search, so that a replay finds what the run found."""

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """The answer of the client's method of that name."""
        ...

    async def compact(self) -> None:
        """Leave nothing of what was removed in files of ours."""
        ...

    async def close(self) -> None:
        """Release what is held."""
        ...


class LocalCalls:
    """A client inside this process. One thread owns it: neither its files nor its arrays bear two callers at once."""

    exact: ClassVar[dict[str, Any]] = {}

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qdrant")
        try:
            self._client: QdrantClient = self._thread.submit(_open_local, folder).result()
        except Exception as error:
            self._thread.shutdown()
            raise _unusable(folder, error) from error

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """The answer of the client's method of that name."""
        method = getattr(self._client, name)
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: method(**arguments))

    async def compact(self) -> None:
        """SQLite leaves deleted rows in its file until it is written anew."""
        await asyncio.get_running_loop().run_in_executor(self._thread, _vacuum, self._folder)

    async def close(self) -> None:
        """Release the folder."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._client.close)
        self._thread.shutdown()


class ServerCalls:
    """A client of a Qdrant server."""

    exact: ClassVar[dict[str, Any]] = {"search_params": models.SearchParams(exact=True)}

    def __init__(self, url: str) -> None:
        # The compatibility check would ask the server here, before anybody awaits.
        self._client = AsyncQdrantClient(url=url, timeout=TIMEOUT_SECONDS, check_compatibility=False)

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """The answer of the client's method of that name."""
        method: Callable[..., Awaitable[Any]] = getattr(self._client, name)
        return await method(**arguments)

    async def compact(self) -> None:
        """The server looks after its own files."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class QdrantIndex:
    """See `domain.ports.MemoryIndex`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._known: set[str] = set()
        self._creating = asyncio.Lock()

    async def upsert(self, memories: Sequence[Memory]) -> None:
        """Add or replace, by id."""
        groups: dict[str, list[Memory]] = {}
        for memory in memories:
            groups.setdefault(_collection(memory.kind, memory.task_type), []).append(memory)
        for name, group in groups.items():
            if not await self._exists(name):
                await self._create(name)
            for start in range(0, len(group), BATCH):
                points = await asyncio.to_thread(_points, group[start : start + BATCH])
                await self._calls.call("upsert", collection_name=name, points=points, wait=True)

    async def remove(self, memories: Sequence[tuple[str, str, str]]) -> None:
        """Take out memories, each given as (id, kind, task type); nothing of them stays in a local folder's files."""
        groups: dict[str, list[str]] = {}
        for memory_id, kind, task_type in memories:
            groups.setdefault(_collection(kind, task_type), []).append(str(uuid.uuid5(NAMESPACE, memory_id)))
        for name, ids in groups.items():
            if await self._exists(name):
                chosen = models.PointIdsList(points=list(ids))
                await self._calls.call("delete", collection_name=name, points_selector=chosen, wait=True)
        await self._calls.compact()

    async def search(self, kind: str, task_type: str, text: str, limit: int, as_of: datetime) -> Sequence[Memory]:
        """The most similar memories with `known_at <= as_of`, best first, ties by id."""
        name = _collection(kind, task_type)
        if limit < 1 or not await self._exists(name):
            return ()
        (vector,) = await asyncio.to_thread(embed, [text])
        # Local mode takes ten times as long with a payload filter, so `known_at` is compared here, over ever more hits.
        fetch = 2 * limit + 8
        while True:
            hits = await self._nearest(name, vector, fetch)
            found = sorted((hit for hit in hits if hit.known_at <= as_of), key=lambda hit: (-hit.score, hit.id))
            # Enough only if no hit beyond the fetched ones could tie with the last one kept.
            if len(hits) < fetch or (len(found) >= limit and hits[-1].score < found[limit - 1].score):
                return tuple(hit.memory() for hit in found[:limit])
            fetch *= 16

    async def close(self) -> None:
        """Release the client."""
        await self._calls.close()

    async def _nearest(self, name: str, vector: list[float], limit: int) -> list["Hit"]:
        answer = await self._calls.call(
            "query_points",
            collection_name=name,
            query=vector,
            limit=limit,
            with_payload=True,
            **self._calls.exact,
        )
        return [Hit(point) for point in answer.points]

    async def _exists(self, name: str) -> bool:
        if name not in self._known and await self._calls.call("collection_exists", collection_name=name):
            self._known.add(name)
        return name in self._known

    async def _create(self, name: str) -> None:
        async with self._creating:
            if await self._exists(name):
                return
            size = models.VectorParams(size=DIMENSIONS, distance=models.Distance.COSINE)
            try:
                await self._calls.call("create_collection", collection_name=name, vectors_config=size)
            except Exception:
                # Another worker of the same server may have been first.
                if not await self._exists(name):
                    raise
            self._known.add(name)


class Hit:
    """A stored memory with its similarity, rounded so that equal texts tie whatever the arithmetic's last bits."""

    def __init__(self, point: Any) -> None:
        self.score = round(float(point.score), 6)
        self.id = str(point.payload["id"])
        self.known_at = datetime.fromisoformat(point.payload["known_at"])
        self._payload: dict[str, Any] = point.payload

    def memory(self) -> Memory:
        """The memory itself."""
        return Memory.model_validate(self._payload)


def open_index(url: str | None, folder: Path | None) -> QdrantIndex:
    """The index of a server, of a local folder, or with neither of this process's memory. Raises StackError."""
    return QdrantIndex(ServerCalls(url) if url else LocalCalls(folder))


def _open_local(folder: Path | None) -> QdrantClient:
    return QdrantClient(location=":memory:") if folder is None else QdrantClient(path=str(folder))


def _vacuum(folder: Path | None) -> None:
    for path in folder.rglob("*.sqlite") if folder is not None else ():
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM")


def _unusable(folder: Path | None, error: Exception) -> StackError:
    if "already accessed" in str(error):
        return StackError(
            f"the memory index in {folder} is in use by another process: set QDRANT_URL to share a server"
        )
    return StackError(f"the memory index in {folder} cannot be opened ({error}): it can be removed and rebuilt")


def _collection(kind: str, task_type: str) -> str:
    return f"parley-{kind}-{task_type}"


def _points(memories: Sequence[Memory]) -> list[models.PointStruct]:
    vectors = embed([memory.text for memory in memories])
    return [
        models.PointStruct(
            id=str(uuid.uuid5(NAMESPACE, memory.id)), vector=vector, payload=memory.model_dump(mode="json")
        )
        for memory, vector in zip(memories, vectors, strict=True)
    ]
