"""Children are started clean, recognised for certain and stopped for good."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from deployments import processes
from deployments.processes import Child, alive, orphans, start, started_at, stop, wait_until

ENV = {"PATH": os.environ["PATH"]}
READY = "import sys, time, signal; print('ready', flush=True)\n"


def run(tmp_path: Path, code: str) -> Child:
    return start("child", [sys.executable, "-c", code], ENV, tmp_path, tmp_path / "logs")


def ready(child: Child) -> None:
    assert wait_until(lambda: "ready" in child.log.read_text(), 10)


def test_a_child_has_its_own_session_and_log(tmp_path: Path) -> None:
    child = run(tmp_path, READY + "time.sleep(60)")
    try:
        ready(child)
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
        assert alive(child)
    finally:
        stop(child)
    assert not alive(child)


def test_sigint_reaches_a_child_of_a_parent_that_ignores_it(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = run(tmp_path, "import signal\n" + READY + "time.sleep(60)")
    finally:
        signal.signal(signal.SIGINT, before)
    ready(child)
    os.kill(child.pid, signal.SIGINT)
    assert wait_until(lambda: not alive(child), 10)
    assert "KeyboardInterrupt" in child.log.read_text()


def test_a_deaf_child_is_killed_after_the_grace(tmp_path: Path) -> None:
    deaf = "import signal\nfor n in (signal.SIGINT, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)\n"
    child = run(tmp_path, deaf + READY + "time.sleep(60)")
    ready(child)
    begin = time.monotonic()
    stop(child, grace=0.4)
    assert not alive(child)
    assert 0.5 < time.monotonic() - begin < 10


def test_a_reused_pid_is_never_killed(tmp_path: Path) -> None:
    stranger = run(tmp_path, READY + "time.sleep(60)")
    try:
        ready(stranger)
        recorded = stranger.model_copy(update={"started": "boot:1"})
        assert not alive(recorded)
        assert orphans(recorded) == ()
        stop(recorded, grace=0.2)
        assert alive(stranger)
    finally:
        stop(stranger)


def test_what_a_killed_child_leaves_in_its_session_is_stopped(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\nprint(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)\n"
    )
    child = run(tmp_path, code + READY + "time.sleep(60)")
    ready(child)
    grandchild = int(child.log.read_text().split()[0])
    os.kill(child.pid, signal.SIGKILL)
    assert wait_until(lambda: not alive(child), 10)
    assert orphans(child) == (grandchild,)
    stop(child)
    assert wait_until(lambda: started_at(grandchild) is None, 10)


def test_a_zombie_counts_as_gone() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert wait_until(lambda: started_at(pid) is None, 10)


def test_wait_until_gives_up() -> None:
    assert not wait_until(lambda: False, 0.05)
    assert wait_until(lambda: True, 0)


def test_the_parent_is_known() -> None:
    assert processes.parent_of(os.getpid()) == os.getppid()


@pytest.mark.parametrize("pid", [2**22 + 1])
def test_nothing_is_said_of_a_process_that_never_was(pid: int) -> None:
    assert started_at(pid) is None
    assert processes.command_line(pid) == ""
    assert processes.parent_of(pid) is None
