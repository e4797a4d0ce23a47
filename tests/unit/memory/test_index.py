import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import StackError
from domain.memory import Memory
from memory.index import open_index

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def memory(name, text="home: rent", known_at=NOW, kind="episodic", task_type="loan"):
    return Memory(id=name, kind=kind, task_type=task_type, text=text, data={"action": "approve"}, known_at=known_at)


@pytest.fixture(params=["memory", "folder"])
async def index(request, tmp_path):
    index = open_index(None, tmp_path / "index" if request.param == "folder" else None)
    yield index
    await index.close()


async def ids(index, text="home: rent", limit=5, as_of=NOW, kind="episodic", task_type="loan"):
    return [found.id for found in await index.search(kind, task_type, text, limit, as_of)]


async def test_nothing_is_known_at_first(index):
    assert await ids(index) == []


async def test_best_first_and_whole(index):
    near, far = memory("near", "home: rent\njob: fixed"), memory("far", "container ship")
    await index.upsert([far, near])
    assert list(await index.search("episodic", "loan", "home: rent\njob: fixed", 2, NOW)) == [near, far]


async def test_kinds_and_task_types_are_apart(index):
    await index.upsert([memory("episode"), memory("fact", kind="semantic"), memory("other", task_type="claim")])
    assert await ids(index) == ["episode"]
    assert await ids(index, kind="semantic") == ["fact"]
    assert await ids(index, task_type="claim") == ["other"]


async def test_only_what_was_known(index):
    await index.upsert([memory("then"), memory("later", known_at=NOW + timedelta(microseconds=1))])
    assert await ids(index) == ["then"]
    assert await ids(index, as_of=NOW - timedelta(days=1)) == []
    assert await ids(index, as_of=NOW + timedelta(days=1)) == ["later", "then"]


async def test_widens_past_better_hits_that_were_not_known_yet(index):
    later = [memory(f"later{number}", known_at=NOW + timedelta(days=1)) for number in range(100)]
    await index.upsert([*later, memory("then", "container ship")])
    assert await ids(index, limit=1) == ["then"]


async def test_ties_go_by_id_even_beyond_the_first_fetch(index):
    names = [f"tie{number:03}" for number in range(60)]
    await index.upsert([memory(name) for name in reversed(names)])
    assert await ids(index, limit=3) == names[:3]


async def test_upsert_replaces(index):
    await index.upsert([memory("one", "container ship")])
    await index.upsert([memory("one", "home: rent")])
    (found,) = await index.search("episodic", "loan", "home", 5, NOW)
    assert found.text == "home: rent"


async def test_no_limit_no_hits(index):
    await index.upsert([memory("one")])
    assert await ids(index, limit=0) == []


async def test_texts_without_tokens_are_no_error(index):
    await index.upsert([memory("empty", "")])
    assert await ids(index, text="") == ["empty"]


async def test_many_callers_at_once(index):
    await asyncio.gather(*(index.upsert([memory(f"m{number:02}", f"home: {number}")]) for number in range(40)))
    await asyncio.gather(
        *(index.upsert([memory(f"n{number}")]) for number in range(10)), *(ids(index) for _ in range(10))
    )
    assert len(await ids(index, limit=50)) == 50


async def test_a_folder_outlives_its_index(tmp_path):
    first = open_index(None, tmp_path)
    await first.upsert([memory("one")])
    await first.close()
    second = open_index(None, tmp_path)
    assert await ids(second) == ["one"]
    await second.close()


OPEN = """
import sys
from pathlib import Path
from domain.errors import StackError
from memory.index import open_index
try:
    open_index(None, Path(sys.argv[1]))
except StackError as error:
    print(error)
    raise SystemExit(3)
"""


async def test_a_second_process_is_refused(tmp_path):
    index = open_index(None, tmp_path)
    await index.upsert([memory("one")])
    command = [sys.executable, "-c", OPEN, str(tmp_path)]
    second = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert second.returncode == 3, second.stderr
    assert "in use by another process" in second.stdout
    assert await ids(index) == ["one"]
    await index.close()


def test_a_broken_folder_is_a_stack_error(tmp_path):
    (tmp_path / "meta.json").write_text("not json")
    with pytest.raises(StackError, match="cannot be opened"):
        open_index(None, tmp_path)


async def test_opening_a_server_that_is_away_fails_only_when_asked():
    index = open_index("http://127.0.0.1:9", None)
    with pytest.raises(Exception, match=r"(?i)connect"):
        await ids(index)
    await index.close()
