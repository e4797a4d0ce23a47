"""A worker's heartbeat: leases are renewed whatever its loop does, and one row that is locked holds up no other."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg
import pytest

from domain.settings import Settings
from orchestration.heartbeat import Heartbeat
from orchestration.run import Runtime
from storage.leases import claim_one
from tests.faults.control_tasks import ALONE, submit

OWNER = "test:beating"
BEATS = 2.5
"""Seconds for two beats of a lease of 3."""


@contextmanager
def _beating(settings: Settings, forgotten: str = "") -> Iterator[None]:
    heartbeat = Heartbeat(str(settings.database_url), OWNER, settings.model_copy(update={"lease_seconds": 3}))
    heartbeat.forget(forgotten)
    heartbeat.start()
    try:
        yield
    finally:
        heartbeat.stop()


async def _claimed(runtime: Runtime) -> str:
    task_id = await submit(runtime, ALONE)
    assert await claim_one(runtime.engine, OWNER, task_id, seconds=60) is not None
    return task_id


def _ends(dsn: str, task_id: str) -> datetime:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT lease_until FROM tasks WHERE id = %s", (task_id,)).fetchone()
    assert row is not None
    ends: datetime = row[0]
    return ends


@pytest.mark.parametrize("renewed", [True, False])
async def test_leases_are_renewed_while_the_loop_is_blocked(
    runtime: Runtime, settings: Settings, dsn: str, renewed: bool
) -> None:
    task_id = await _claimed(runtime)
    before = _ends(dsn, task_id)
    with _beating(settings, forgotten="" if renewed else task_id):
        time.sleep(BEATS)  # the loop is blocked
    # A lease of 3 s ends before the one of 60 s it was claimed with.
    assert (_ends(dsn, task_id) < before) is renewed


async def test_a_locked_row_holds_up_no_other(runtime: Runtime, settings: Settings, dsn: str) -> None:
    locked, other = await _claimed(runtime), await _claimed(runtime)
    ends = _ends(dsn, locked), _ends(dsn, other)
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT FROM tasks WHERE id = %s FOR UPDATE", (locked,))
        with _beating(settings):
            time.sleep(BEATS)
            assert _ends(dsn, other) < ends[1]
            assert _ends(dsn, locked) == ends[0]
            connection.rollback()
            time.sleep(BEATS)
    assert _ends(dsn, locked) < ends[0]


async def test_a_lease_that_ran_out_is_not_revived(runtime: Runtime, settings: Settings, dsn: str) -> None:
    task_id = await _claimed(runtime)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE tasks SET lease_until = now() - interval '1 s' WHERE id = %s", (task_id,))
    before = _ends(dsn, task_id)
    with _beating(settings):
        time.sleep(BEATS)
    assert _ends(dsn, task_id) == before
