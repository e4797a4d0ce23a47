"""A worker anchors by the clock: where something changed, one of many at a time, and it goes on behind a torn line."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from control_plane.services import audit
from domain.settings import Settings
from domain.task import Lane
from orchestration.anchoring import anchor_if_due
from orchestration.anchors import anchor, known_key, read_anchors
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from orchestration.worker import Worker
from storage.engine import async_engine
from tests.integration.test_lanes import CLEAR

SECONDS = 0.2


async def _submit(runtime: Runtime) -> str:
    kind = runtime.catalog.task_type("credit_review")
    return (await submit_task(runtime.engine, kind, CLEAR, principal="ann", lane=Lane.DIRECT)).task_id


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def _age(path: Path) -> None:
    os.utime(path, (path.stat().st_mtime - 60,) * 2)


@pytest.fixture
def often(settings: Settings) -> Settings:
    return settings.model_copy(update={"anchor_seconds": SECONDS})


@pytest.fixture
def path(settings: Settings) -> Path:
    return settings.home / "audit" / "anchors.jsonl"


async def test_a_worker_anchors_while_it_runs(runtime: Runtime, often: Settings, path: Path) -> None:
    async def run(*given: object) -> None:
        one = given[1]
        await run_task(runtime, one.lease, DIRECT, given[2])  # type: ignore[attr-defined, arg-type]

    worker = Worker(runtime, often, {Lane.DIRECT: run})
    working = asyncio.create_task(worker.run())
    task_id = await _submit(runtime)
    status = text("SELECT status FROM tasks WHERE id = :id")
    for _ in range(300):
        await asyncio.sleep(0.1)
        async with runtime.engine.connect() as connection:
            if await connection.scalar(status, {"id": task_id}) == "done" and _lines(path):
                break
    await asyncio.sleep(SECONDS * 6)
    worker.stop()
    await working
    found = await audit.verify(runtime.engine, often.home, None, None)
    assert found.problems == []
    assert found.anchor is not None
    stood = _lines(path)
    _age(path)
    # Nothing has changed since, and nothing is written.
    await anchor_if_due(runtime.dsn, often)
    assert _lines(path) == stood


async def test_once_for_all_processes(runtime: Runtime, settings: Settings, path: Path) -> None:
    await _submit(runtime)
    await asyncio.gather(*(anchor_if_due(runtime.dsn, settings) for _ in range(4)))
    assert _lines(path) == 1
    await _submit(runtime)
    await anchor_if_due(runtime.dsn, settings)
    # The last one is younger than a minute.
    assert _lines(path) == 1
    _age(path)
    other = async_engine(runtime.dsn, size=1)
    async with other.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(7243902)"))
        await anchor_if_due(runtime.dsn, settings)
        assert _lines(path) == 1
    await other.dispose()
    await anchor_if_due(runtime.dsn, settings)
    assert _lines(path) == 2


async def test_it_goes_on_from_what_was_read(runtime: Runtime, settings: Settings, path: Path) -> None:
    known = None
    for expected in (1, 2, 3):
        await _submit(runtime)
        known = await anchor_if_due(runtime.dsn, settings, known)
        assert _lines(path) == expected
        _age(path)
    assert (await audit.verify(runtime.engine, settings.home, None, None)).problems == []


async def test_a_torn_line_is_written_over(runtime: Runtime, settings: Settings, path: Path) -> None:
    await _submit(runtime)
    await anchor(runtime.engine, settings.home, None)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert (await audit.verify(runtime.engine, settings.home, None, None)).problems == []
    made = await anchor(runtime.engine, settings.home, None)
    assert made.problems == []
    assert path.read_bytes().startswith(whole)
    assert _lines(path) == 2
    assert (await audit.verify(runtime.engine, settings.home, None, None)).problems == []


async def test_a_cut_chain_is_not_anchored_over(
    runtime: Runtime, settings: Settings, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task_id = await _submit(runtime)
    known = await anchor_if_due(runtime.dsn, settings)
    _age(path)
    async with runtime.engine.begin() as connection:
        # As whoever owns the database.
        await connection.execute(text("SET LOCAL ROLE NONE"))
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in ("audit_log", "audit_heads"):
            await connection.execute(text(f"DELETE FROM {table} WHERE task_id = :id"), {"id": task_id})
    await anchor_if_due(runtime.dsn, settings, known)
    assert _lines(path) == 1
    assert "nothing was anchored: cut" in caplog.text


async def test_it_can_be_switched_off(runtime: Runtime, settings: Settings, path: Path) -> None:
    off = settings.model_copy(update={"anchor_seconds": 0.0})
    worker = Worker(runtime, off, {})
    working = asyncio.create_task(worker.run())
    await _submit(runtime)
    await asyncio.sleep(0.5)
    worker.stop()
    await working
    assert not path.exists()


async def test_an_anchor_that_lost_the_end_of_its_line_counts_and_is_told_of(
    runtime: Runtime, settings: Settings, path: Path
) -> None:
    for _ in range(2):
        await _submit(runtime)
        made = await anchor(runtime.engine, settings.home, None)
    assert made.header is not None
    whole = path.read_bytes()
    path.write_bytes(whole.removesuffix(b"\n"))
    found = await audit.verify(runtime.engine, settings.home, None, None)
    assert (found.problems, found.anchor) == ([], made.header.at)
    assert found.note is not None
    assert "lost the end of its line" in found.note
    # Whoever read it so before reads on.
    known = read_anchors(path, known_key(settings.home))
    await _submit(runtime)
    assert (await anchor(runtime.engine, settings.home, None, known)).problems == []
    assert path.read_bytes().startswith(whole)
    assert _lines(path) == 3
    assert (await audit.verify(runtime.engine, settings.home, None, None)).note is None
    path.write_bytes(path.read_bytes()[:-9])
    found = await audit.verify(runtime.engine, settings.home, None, None)
    assert found.anchor == made.header.at
    assert found.note is not None
    assert "behind line 2 are no whole anchor" in found.note


HOSTILE = {
    "deep": b"[" * 200_000,
    "a list": b"[]",
    "a number": b"7",
    "nothing": b"",
    "no UTF-8": b"\xff",
    "a key that is none": lambda line: {**line, "header": {**line["header"], "key": 7}},
    "a large place": lambda line: {**line, "changed": [["t", 2**70, "0" * 64]]},
    "a place that is a text": lambda line: {**line, "changed": [["t", "1", "0" * 64]]},
    "a header more": lambda line: {**line, "header": {**line["header"], "more": 1}},
    "a header that is none": lambda line: {**line, "header": None},
    "a signature that is none": lambda line: {**line, "signature": 7},
    "changes that are none": lambda line: {**line, "changed": {"a": 1}},
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_line_that_is_no_anchor_is_told(runtime: Runtime, settings: Settings, path: Path, what: str) -> None:
    await _submit(runtime)
    await anchor(runtime.engine, settings.home, None)
    made: Any = HOSTILE[what]
    line = made if isinstance(made, bytes) else json.dumps(made(json.loads(path.read_bytes()))).encode()
    path.write_bytes(line + b"\n")
    [problem] = (await audit.verify(runtime.engine, settings.home, None, None)).problems
    assert problem.kind == "anchor"
    assert problem.detail.startswith(f"{path}, line 1: it is not an anchor: ")
    assert (await anchor(runtime.engine, settings.home, None)).header is None
