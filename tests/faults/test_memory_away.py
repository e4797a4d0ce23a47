"""Nothing answers where Qdrant should be: a batch ends, and every task says that it was decided without memory."""

import signal
from pathlib import Path

from tests.faults.workers import FULL, SETTLED, assert_once, count, submit_rows, wait, worker

ROWS = 20 if FULL else 6


async def test_a_batch_ends_without_memory(dsn: str, tmp_path: Path) -> None:
    await submit_rows(dsn, tmp_path, ROWS)
    folder = tmp_path / "worker"
    with worker(dsn, folder, QDRANT_URL="http://127.0.0.1:9") as process:
        wait(dsn, SETTLED, ROWS, process, folder / "worker.log")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert count(dsn, "status IN ('done', 'parked')") == ROWS
    assert count(dsn, "degraded IS NOT NULL", "snapshots") >= ROWS
    assert count(dsn, "degraded IS NULL", "snapshots") == 0
    assert_once(dsn)
