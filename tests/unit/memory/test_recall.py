import asyncio
from datetime import UTC, datetime

from domain.memory import Memory, Recall
from memory.index import open_index
from memory.recall import IndexRecaller

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def memory(name, kind):
    return Memory(id=name, kind=kind, task_type="loan", text="home: rent", known_at=NOW)


async def test_both_kinds_within_their_limits():
    index = open_index(None, None)
    await index.upsert([memory(name, "episodic") for name in "ab"] + [memory(name, "semantic") for name in "cd"])
    recall = await IndexRecaller(index).recall("loan", "home: rent", 2, 1, NOW)
    assert [found.id for found in recall.episodes] == ["a", "b"]
    assert [found.id for found in recall.facts] == ["c"]
    assert recall.degraded is None
    assert await IndexRecaller(index).recall("loan", "home: rent", 0, 0, NOW) == Recall()
    await index.close()


async def test_a_server_that_is_away_degrades():
    index = open_index("http://127.0.0.1:9", None)
    recall = await IndexRecaller(index).recall("loan", "home: rent", 2, 2, NOW)
    assert recall.episodes == recall.facts == ()
    assert "could not be searched" in recall.degraded
    await index.close()


async def test_a_server_that_does_not_answer_degrades():
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    index = open_index(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", None)
    recall = await IndexRecaller(index, timeout_seconds=0.2).recall("loan", "home: rent", 2, 2, NOW)
    assert recall.degraded == "memory gave no answer within 0.2 s"
    await index.close()
    server.close()


async def test_a_closed_index_degrades():
    index = open_index(None, None)
    await index.close()
    assert (await IndexRecaller(index).recall("loan", "x", 1, 0, NOW)).degraded
