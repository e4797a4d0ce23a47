"""A worker that is killed between writing a notice and having sent it: another one sends it."""

import json
import time
from pathlib import Path

import pytest

from tests.fakes.hook import FakeHook, fake_hook
from tests.faults.workers import PATIENCE, SETTLED, count, parley, wait, wait_ready, worker

APPLICATION = {"Seniority": 15, "Home": "owner", "Time": 36, "Records": "no", "Job": "fixed", "Expenses": 60}
APPLICATION |= {"Income": 400, "Assets": 6000, "Debt": 0, "Amount": 3000, "Price": 6000}


def _submit(dsn: str, folder: Path) -> None:
    given = json.dumps(APPLICATION).encode()
    done = parley(dsn, folder, "submit", "credit_review", "-", "--lane", "direct", given=given)
    assert done.returncode == 0, done.stderr


def _until(hook: FakeHook, requests: int) -> None:
    until = time.monotonic() + PATIENCE
    while len(hook.keys) < requests:
        assert time.monotonic() < until, hook.keys
        time.sleep(0.02)


@pytest.mark.parametrize("moment", ["before it is sent", "while it is sent"])
def test_a_killed_worker_loses_no_notice(dsn: str, tmp_path: Path, moment: str) -> None:
    with fake_hook() as hook:
        more = {"PARLEY_NOTIFY_URL": hook.url}
        if moment == "before it is sent":
            # It dies behind the commit of the request, before it looks for what is to be sent.
            more["PARLEY_FAULT"] = "approve:after"
        else:
            hook.hang = 1
        _submit(dsn, tmp_path)
        with worker(dsn, tmp_path, **more) as first:
            if moment == "before it is sent":
                first.wait(timeout=PATIENCE)
            else:
                _until(hook, 1)
                first.kill()
        assert count(dsn, "sent_at IS NULL AND failed_at IS NULL", "notices") == 1
        del more["PARLEY_NOTIFY_URL"]
        with worker(dsn, tmp_path, PARLEY_NOTIFY_URL=hook.url) as second:
            wait_ready(dsn, second, tmp_path)
            wait(dsn, SETTLED, 1, second, tmp_path / "worker.log")
            _until(hook, 1 if moment == "before it is sent" else 2)
            until = time.monotonic() + PATIENCE
            while count(dsn, "sent_at IS NOT NULL", "notices") < 1:
                assert time.monotonic() < until
                time.sleep(0.05)
        assert len(set(hook.keys)) == 1
        assert "token-that-is-secret" not in (tmp_path / "worker.log").read_text()
