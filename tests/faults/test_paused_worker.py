"""A worker is stopped past its lease and goes on: what it then writes is refused, and nothing happens twice."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from domain.action import ExecutorKind
from domain.settings import Settings
from domain.task import Lane
from orchestration.submission import submit_task
from orchestration.wiring import catalog_of
from storage.engine import async_engine
from tests.fakes.target import FakeTarget, fake_target
from tests.faults.workers import FULL, PATIENCE, SETTLED, assert_once, count, submit_rows, wait, worker
from tests.integration.acting import write_steps
from tests.integration.five_subtasks import CLAIM

ROWS = 40 if FULL else 16
HELD = "status = 'running' AND lease_owner IS NOT NULL"


async def test_a_batch_outlives_a_pause(dsn: str, tmp_path: Path) -> None:
    await submit_rows(dsn, tmp_path, ROWS)
    first, second = tmp_path / "first", tmp_path / "second"
    with worker(dsn, first) as paused:
        wait(dsn, SETTLED, 3, paused, first / "worker.log")
        paused.send_signal(signal.SIGSTOP)
        assert count(dsn, HELD) > 0, "the worker was not stopped in the middle of anything"
        with worker(dsn, second) as other:
            # Also what the stopped process has locked in a transaction.
            wait(dsn, SETTLED, ROWS, other, second / "worker.log")
            paused.send_signal(signal.SIGCONT)
            time.sleep(2)
            for process in (paused, other):
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=30) == 0
    assert count(dsn, "fence > 1") > 0
    assert_once(dsn)


@pytest.mark.parametrize("kind", [ExecutorKind.DEDUP, ExecutorKind.FENCED])
async def test_a_sender_that_wakes_up_late(dsn: str, tmp_path: Path, kind: ExecutorKind) -> None:
    """It is stopped while its call is in flight; another sends again, is answered, and the first one goes on."""
    with fake_target(kind) as target:
        target.hang = 1
        catalog = write_steps(
            tmp_path / "made", {"one": {"executor_parameters": target.parameters(timeout_seconds=60)}}
        )
        task_id = await _submit(dsn, tmp_path, catalog)
        first, second = tmp_path / "first", tmp_path / "second"
        with worker(dsn, first, PARLEY_CATALOG=str(catalog)) as paused:
            await _until_sent(target)
            paused.send_signal(signal.SIGSTOP)
            with worker(dsn, second, PARLEY_CATALOG=str(catalog)) as other:
                wait(dsn, f"id = '{task_id}' AND {SETTLED}", 1, other, second / "worker.log")
                paused.send_signal(signal.SIGCONT)
                target.released.set()
                await _until_refused(first / "worker.log")
        fences = [fence for _, fence, _ in target.requests]
        assert len(fences) == 2
        assert fences[0] < fences[1]
        assert len(target.effects) == 1
    assert count(dsn, f"id = '{task_id}' AND status = 'done'") == 1
    assert count(dsn, f"task_id = '{task_id}' AND fence = {fences[1]} AND status = 'done'", "actions") == 1


async def _submit(dsn: str, folder: Path, catalog: Path) -> str:
    kind = catalog_of(Settings(home=folder, database_url=dsn, catalog=catalog)).task_type("claim")
    engine = async_engine(dsn, size=1)
    made = await submit_task(engine, kind, CLAIM, principal="ann", lane=Lane.DIRECT)
    await engine.dispose()
    return made.task_id


async def _until_sent(target: FakeTarget) -> None:
    async with asyncio.timeout(PATIENCE):
        while not target.requests:
            await asyncio.sleep(0.02)


async def _until_refused(log: Path) -> None:
    async with asyncio.timeout(PATIENCE):
        while "is stale" not in (told := log.read_text()) and "a newer run" not in told:
            await asyncio.sleep(0.1)
