"""A worker stands still between a transaction's writes and its commit: its task goes on elsewhere."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from domain.settings import Settings
from orchestration.swept import Orders
from tests.fakes.server import OUTBOUND_HOSTS
from tests.fakes.target import FakeTarget, fake_target
from tests.faults.forked import end, work
from tests.faults.workers import FULL, parley
from tests.integration.acting import Acting, acting, write_steps

LEASE = 4
POINTS = {
    "intake": "intake:inside",
    "the plan": "plan:inside",
    "a round": "negotiate:inside",
    "the verdict": "guard:inside",
    "taking the action": "execute:inside",
    "the action's end": "execute:inside@2",
    "the end": "report:inside",
}
SOME = POINTS if FULL else ["taking the action", "the action's end"]


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "state", database_url=dsn, outbound_hosts=OUTBOUND_HOSTS)


class Stopped:
    """A task, and the worker that stands still with its row locked."""

    def __init__(self, stage: Acting, orders: Orders, task_id: str, process: BaseProcess, target: FakeTarget) -> None:
        self.stage, self.orders, self.task_id, self.process, self.target = stage, orders, task_id, process, target
        self.since = time.monotonic()

    async def until(self, sql: str, seconds: float) -> float:
        """Until the task's row is so; returns how long it has been stopped then."""
        async with asyncio.timeout(seconds):
            while not await self.stage.rows(f"SELECT 1 FROM tasks WHERE id = :id AND {sql}", self.task_id):
                await asyncio.sleep(0.05)
        return time.monotonic() - self.since

    async def go_on(self) -> None:
        """SIGCONT, until its run was refused."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGCONT)
        async with asyncio.timeout(30):
            while "is stale" not in self.orders.log.read_text():
                await asyncio.sleep(0.05)


@asynccontextmanager
async def _stopped(settings: Settings, tmp_path: Path, point: str, lease: int = LEASE) -> AsyncIterator[Stopped]:
    with fake_target() as target:
        catalog = write_steps(tmp_path, {"pay": {"executor_parameters": target.parameters()}})
        orders = Orders(
            dsn=str(settings.database_url),
            home=tmp_path / "worker",
            catalog=catalog,
            log=tmp_path / "worker.log",
            fault=point,
            stops=True,
            lease_seconds=lease,
            outbound_hosts=settings.outbound_hosts,
        )
        async with acting(settings, catalog) as stage:
            task_id = await stage.submit()
            process = work(orders)
            try:
                await asyncio.to_thread(_until_stopped, process, orders.log)
                yield Stopped(stage, orders, task_id, process, target)
            finally:
                process.kill()
                await asyncio.to_thread(process.join, 10)


def _until_stopped(process: BaseProcess, log: Path) -> None:
    """Its other transactions may stand open as well, so the database does not tell."""
    until = time.monotonic() + 60
    while "T" not in _state_of(process):
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


def _state_of(process: BaseProcess) -> str:
    # The process's name, before it, may hold anything but ends with a parenthesis.
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


@asynccontextmanager
async def _another(orders: Orders) -> AsyncIterator[Any]:
    process = work(orders.model_copy(update={"fault": "", "log": orders.log.with_name("other.log")}))
    try:
        yield
    finally:
        await end(process)


@pytest.mark.parametrize("place", SOME)
async def test_another_takes_over_within_two_leases(settings: Settings, tmp_path: Path, place: str) -> None:
    async with _stopped(settings, tmp_path, POINTS[place]) as stopped, _another(stopped.orders):
        assert await stopped.until("fence = 2", 3 * LEASE) <= 2 * LEASE
        await stopped.until("status = 'done'", 30)
        await stopped.go_on()
        assert stopped.target.effects == [f"{stopped.task_id}/pay"]
        # The session that was ended under it is an outage, not a fault of the task.
        assert await stopped.stage.events(stopped.task_id, "run.failed") == []


async def test_a_cancel_waits_for_it_and_says_so(settings: Settings, tmp_path: Path) -> None:
    lease = 12
    async with _stopped(settings, tmp_path, "execute:inside", lease) as stopped:
        done = await asyncio.to_thread(parley, stopped.orders.dsn, tmp_path / "cli", "cancel", stopped.task_id)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - stopped.since <= 2 * lease
        assert b"is locked by Postgres process" in done.stderr
        assert b"idle in transaction" in done.stderr
        async with _another(stopped.orders):
            await stopped.until("status = 'cancelled'", 30)
        await stopped.go_on()
        assert stopped.target.requests == []
