"""Unrecorded children of a stack are found by their mark, and nobody else is touched."""

import os
import subprocess
import sys
from pathlib import Path

from deployments.processes import started_at, wait_until
from deployments.strays import find_strays, kill_strays, mark

# Starts a marked sleeper that outlives it, and prints the sleeper's process id.
SPAWN = (
    "import subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True,\n"
    "                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
    "print(child.pid)\n"
)


def orphan(home: Path) -> int:
    env = {**os.environ, **mark(home)}
    said = subprocess.run([sys.executable, "-c", SPAWN], env=env, capture_output=True, text=True, check=True)
    pid = int(said.stdout)
    assert wait_until(lambda: b"time.sleep" in Path(f"/proc/{pid}/cmdline").read_bytes(), 10)
    return pid


def test_a_stray_is_killed_and_another_stacks_is_not(tmp_path: Path) -> None:
    mine, other = orphan(tmp_path / "a"), orphan(tmp_path / "b")
    try:
        assert find_strays(tmp_path / "a", ()) == (mine,)
        assert find_strays(tmp_path / "a", (mine,)) == ()
        kill_strays(tmp_path / "a", ())
        assert wait_until(lambda: started_at(mine) is None, 10)
        assert started_at(other) is not None
    finally:
        kill_strays(tmp_path / "b", ())
    assert wait_until(lambda: started_at(other) is None, 10)


def test_descendants_of_a_recorded_process_are_no_strays(tmp_path: Path) -> None:
    env = {**os.environ, **mark(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", "input()"], env=env, stdin=subprocess.PIPE) as child:
        # A child of ours descends from us, and we are at work.
        assert find_strays(tmp_path, ()) == ()
        assert child.stdin is not None
        child.stdin.write(b"\n")
