"""Prefect's server dies while traced tasks run, and is away for the direct lane: nothing is lost or done twice."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments import local
from deployments.postgres import PostgresServer
from deployments.processes import alive, wait_until
from deployments.state import read_state
from domain.settings import Settings
from domain.task import Lane
from orchestration.submission import submit_task
from orchestration.wiring import catalog_of
from storage.engine import async_engine
from tests.faults.control_tasks import ALONE
from tests.faults.workers import FULL, SETTLED, assert_once, count

TASKS = 6
SECONDS = 180

pytestmark = pytest.mark.skipif(not FULL, reason="a stack of its own: PARLEY_FAULTS=full")


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A whole stack of the test's own."""
    for name in ("DATABASE_URL", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings.model_validate({"home": tmp_path / "state"})
    local.up(settings, lambda _: None)
    yield settings
    local.down(settings, lambda _: None)
    state = read_state(settings.home)
    if state is not None and state.postgres is not None:
        PostgresServer(state.postgres, settings.home).discard()


@pytest.fixture
def dsn(stack: Settings) -> str:
    return local.connect(stack).dsn


async def test_the_server_is_killed_and_started_again(stack: Settings, dsn: str) -> None:
    await _submit(dsn, stack, Lane.TRACED)
    assert await asyncio.to_thread(wait_until, lambda: count(dsn, "status = 'running'") > 0, SECONDS)
    server = local.connect(stack).processes[local.PREFECT]
    os.kill(server.pid, signal.SIGKILL)
    assert wait_until(lambda: not alive(server), 10)
    # While it is away the direct lane needs it for nothing.
    await _submit(dsn, stack, Lane.DIRECT)
    direct = f"lane = 'direct' AND {SETTLED}"
    assert await asyncio.to_thread(wait_until, lambda: count(dsn, direct) == TASKS, SECONDS)
    await asyncio.to_thread(local.up, stack, lambda _: None)
    assert await asyncio.to_thread(wait_until, lambda: count(dsn, SETTLED) == 2 * TASKS, SECONDS)
    assert count(dsn, "status = 'done'") == 2 * TASKS
    assert_once(dsn)


async def _submit(dsn: str, stack: Settings, lane: Lane) -> None:
    kind = catalog_of(stack).task_type("credit_review")
    engine = async_engine(dsn, size=1)
    for _ in range(TASKS):
        await submit_task(engine, kind, ALONE, principal="ann", lane=lane)
    await engine.dispose()
