"""Workers whose clocks are an hour off, one ahead and one behind: leases and deadlines follow the database's."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from domain.settings import ROOT
from tests.faults.invariants import broken, hold
from tests.faults.workers import FULL, SETTLED, assert_once, count, environment, submit_rows, wait, wait_ready, worker

ROWS = 30 if FULL else 12
HOUR = 3600
# It moves the deadlines in the rows, which the audit then finds: it checks before that.
UNHELD = ("test_leases_and_deadlines_follow_the_database",)


def _off(seconds: int) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT / "tests" / "faults" / "shifted"), "PARLEY_TEST_CLOCK": str(seconds)}


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_the_clock_is_off(tmp_path: Path, seconds: int) -> None:
    """What the tests below are worth."""
    program = "import time; from datetime import datetime, UTC; print(time.time(), datetime.now(UTC).timestamp())"
    env = environment("", tmp_path, **_off(seconds))
    told = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    here = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for one, other in zip(told.stdout.split(), here.stdout.split(), strict=True):
        assert abs(float(one) - float(other) - seconds) < 60


async def test_leases_and_deadlines_follow_the_database(dsn: str, tmp_path: Path) -> None:
    # Both deadlines are shorter than the clocks are off.
    catalog = tmp_path / "pilots"
    shutil.copytree(ROOT / "pilots", catalog)
    file = catalog / "credit_review" / "task_type.yaml"
    text = file.read_text()
    assert "approval_deadline: P7D" in text
    file.write_text(text.replace("approval_deadline: P7D", "approval_deadline: PT30M"))
    ahead, behind = tmp_path / "ahead", tmp_path / "behind"
    with (
        worker(dsn, ahead, PARLEY_CATALOG=str(catalog), **_off(HOUR)) as early,
        worker(dsn, behind, PARLEY_CATALOG=str(catalog), **_off(-HOUR)) as late,
    ):
        wait_ready(dsn, early, ahead)
        wait_ready(dsn, late, behind)
        await submit_rows(dsn, tmp_path, ROWS)
        wait(dsn, SETTLED, ROWS, early, ahead / "worker.log")
        assert count(dsn, "status NOT IN ('done', 'parked')") == 0
        assert count(dsn, "fence > 1") == 0, "a live lease was taken"
        assert count(dsn, "expires_at < now() OR expires_at > now() + interval '31 minutes'", "approvals") == 0
        assert_once(dsn)
        parked = count(dsn, "status = 'parked'")
        assert parked > 0
        await hold(dsn, tmp_path / "anchors")
        _expire(dsn)
        wait(dsn, f"{SETTLED} AND status <> 'parked'", ROWS, late, behind / "worker.log")
        for process in (early, late):
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
    assert count(dsn, "status = 'expired'", "approvals") == parked
    assert broken(dsn) == {}


def _expire(dsn: str) -> None:
    """The deadlines of what is asked are over, by the database's clock."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE approvals SET expires_at = now() - interval '1 second' WHERE status = 'open'")
