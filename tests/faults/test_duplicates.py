"""Submits with one key at once, some with another body: one task, one effect, and the others are refused."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

from domain.errors import IdempotencyConflict
from domain.settings import Settings
from domain.task import Lane
from orchestration.submission import Submitted, submit_task
from orchestration.wiring import catalog_of
from storage.engine import async_engine
from tests.faults.control_tasks import ALONE
from tests.faults.workers import SETTLED, assert_once, count, parley, wait, worker

AT_ONCE = 50
KEY = "the-same"


async def test_fifty_at_once(dsn: str, tmp_path: Path) -> None:
    kind = catalog_of(Settings(home=tmp_path, database_url=dsn)).task_type("credit_review")
    engine = async_engine(dsn, size=16)

    async def submit(number: int) -> Submitted:
        body: dict[str, Any] = {**ALONE, "Time": 24 + number % 2}
        return await submit_task(engine, kind, body, principal="ann", lane=Lane.DIRECT, idempotency_key=KEY)

    with worker(dsn, tmp_path / "worker") as process:
        given = await asyncio.gather(*(submit(number) for number in range(AT_ONCE)), return_exceptions=True)
        wait(dsn, SETTLED, 1, process, tmp_path / "worker" / "worker.log")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    await engine.dispose()
    taken = [one for one in given if isinstance(one, Submitted)]
    assert len({one.task_id for one in taken}) == 1
    assert [one.existed for one in taken].count(False) == 1
    assert sum(isinstance(one, IdempotencyConflict) for one in given) == AT_ONCE // 2
    assert len(taken) == AT_ONCE // 2
    assert (count(dsn, "true"), count(dsn, "true", "records")) == (1, 1)
    assert_once(dsn)


def test_by_command(dsn: str, tmp_path: Path) -> None:
    command = ("submit", "credit_review", "-", "--lane", "direct", "--as", "eve", "--idempotency-key", "k", "--json")
    before = count(dsn, "true")
    same, again = (parley(dsn, tmp_path, *command, given=json.dumps(ALONE).encode()) for _ in range(2))
    assert (same.returncode, again.returncode) == (0, 0), same.stderr + again.stderr
    assert json.loads(same.stdout)["task_id"] == json.loads(again.stdout)["task_id"]
    other = parley(dsn, tmp_path, *command, given=json.dumps({**ALONE, "Time": 25}).encode())
    assert other.returncode == 2
    assert b"IdempotencyConflict" in other.stdout + other.stderr
    assert count(dsn, "true") == before + 1
