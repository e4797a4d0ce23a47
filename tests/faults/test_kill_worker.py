"""A worker is killed in the middle of a batch: another one ends it, and nothing happens twice."""

import signal
from pathlib import Path

from tests.faults.workers import SETTLED, assert_once, count, submit_rows, wait, worker

ROWS = 60


async def test_a_batch_outlives_itsworker(dsn: str, tmp_path: Path) -> None:
    await submit_rows(dsn, tmp_path, ROWS)
    first, second = tmp_path / "first", tmp_path / "second"
    with worker(dsn, first) as process:
        wait(dsn, SETTLED, 8, process, first / "worker.log")
        process.send_signal(signal.SIGKILL)
        process.wait()
    held = count(dsn, "status = 'running' AND lease_owner IS NOT NULL")
    assert held > 0, "the worker was not killed in the middle of anything"
    assert count(dsn, SETTLED) < ROWS
    with worker(dsn, second) as process:
        wait(dsn, SETTLED, ROWS, process, second / "worker.log")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    assert count(dsn, "true") == ROWS
    assert count(dsn, "status IN ('done', 'parked')") == ROWS
    assert count(dsn, "fence > 1 AND status = 'done'") > 0
    assert_once(dsn)
