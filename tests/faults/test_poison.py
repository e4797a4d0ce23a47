"""A task that kills its worker three times in a row is put away; one that gets on between its crashes is not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from domain.settings import ROOT, Settings
from orchestration.run import Runtime
from orchestration.swept import Orders
from orchestration.wiring import open_runtime
from tests.faults.control_tasks import ALONE, submit
from tests.faults.forked import die, end, work


@pytest.fixture
async def runtime(dsn: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    async with open_runtime(Settings(home=tmp_path / "state", database_url=dsn)) as made:
        yield made


def _orders(dsn: str, folder: Path, fault: str = "") -> Orders:
    return Orders(
        dsn=dsn, home=folder / "worker", catalog=ROOT / "pilots", log=folder / "worker.log", fault=fault,
        lease_seconds=600,
    )  # fmt: skip


def _row(dsn: str, task_id: str) -> tuple[str, int, str | None]:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT status, crashes, reason FROM tasks WHERE id = %s", (task_id,)).fetchone()
    assert row is not None
    return row


async def _settled(dsn: str, *tasks: str) -> None:
    async with asyncio.timeout(60):
        while not all(_row(dsn, task)[0] in ("done", "quarantined") for task in tasks):
            await asyncio.sleep(0.1)


async def test_three_crashes_in_a_row_are_enough(runtime: Runtime, dsn: str, tmp_path: Path) -> None:
    poison = await submit(runtime, ALONE)
    for number in range(3):
        await die(_orders(dsn, tmp_path, "intake:inside"))
        assert _row(dsn, poison)[:2] == ("running", number)
    fine = await submit(runtime, ALONE)
    process = work(_orders(dsn, tmp_path))
    await _settled(dsn, poison, fine)
    await end(process)
    status, crashes, reason = _row(dsn, poison)
    assert (status, crashes, _row(dsn, fine)[0]) == ("quarantined", 3, "done")
    assert reason
    assert "killed their worker 3 times" in reason
    with psycopg.connect(dsn) as connection:
        told = connection.execute("SELECT event FROM events WHERE task_id = %s", (poison,)).fetchall()
    assert told[-1] == ("run.quarantined",)


async def test_getting_on_between_crashes_counts_anew(runtime: Runtime, dsn: str, tmp_path: Path) -> None:
    task = await submit(runtime, ALONE)
    for fault in ("intake:after", "plan:after", "guard:after", "execute:after"):
        await die(_orders(dsn, tmp_path, fault))
    process = work(_orders(dsn, tmp_path))
    await _settled(dsn, task)
    await end(process)
    assert _row(dsn, task)[0] == "done"
