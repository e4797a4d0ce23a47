"""Detached children: started with clean signals, recognised by start time, stopped for certain."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from domain.errors import StackError
from domain.model import Frozen

_PROC = Path("/proc")
_POLL = 0.05
# A process started with `&` from a script ignores SIGINT, and so would every child: reset it just before exec.
_LAUNCH = (
    "import os, signal, sys\n"
    "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    "signal.pthread_sigmask(signal.SIG_SETMASK, ())\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)


class Child(Frozen):
    """A process we started. The start time tells it from a later process with the same id."""

    pid: int
    started: str
    log: Path


def start(name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path, logs: Path) -> Child:
    """Start a command in a session of its own, with its output appended to logs/<name>.log."""
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-ISc", _LAUNCH, *command],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = started_at(process.pid)
    if started is None:
        raise StackError(f"{name} ended as soon as it was started: see {log}")
    return Child(pid=process.pid, started=started, log=log)


def alive(child: Child) -> bool:
    """Whether this very process still runs."""
    return started_at(child.pid) == child.started


def stop(child: Child, grace: float = 10.0) -> None:
    """SIGINT, then SIGTERM, then SIGKILL; whatever it left in its session is killed at the end."""
    for number, patience in ((signal.SIGINT, grace), (signal.SIGTERM, grace / 2)):
        if not alive(child):
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, number)
        wait_until(lambda: not alive(child), patience)
    if alive(child):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: not alive(child), grace)
    for pid in orphans(child):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def orphans(child: Child) -> tuple[int, ...]:
    """Processes left in the session of a child that is gone.

    While a session has members the kernel gives its id to no new process, so an id in use by a stranger proves that
    nothing is left.
    """
    if not _PROC.is_dir() or started_at(child.pid) is not None:
        return ()
    return tuple(
        pid
        for pid in (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
        if (fields := _stat(pid)) is not None and fields[3] == str(child.pid) and fields[0] not in "ZX"
    )


def started_at(pid: int) -> str | None:
    """When a live process started (comparable only on this machine); None for one that is gone or a zombie."""
    if not _PROC.is_dir():
        answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return answer.stdout.strip() or None
    fields = _stat(pid)
    if fields is None:
        return None
    if fields[0] in "ZX":
        _reap(pid)
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{fields[19]}"


def parent_of(pid: int) -> int | None:
    """The parent's process id; None when the process is gone (or there is no /proc)."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def command_line(pid: int) -> str:
    """The command of a live process, its arguments joined by spaces; empty when it is gone."""
    if _PROC.is_dir():
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    answer = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds; False when the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(_POLL)
    return True


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat from the state on (the command before them may hold any character)."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
