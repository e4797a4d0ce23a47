"""Processes of a stack that nobody recorded: whatever a killed `up`, server or worker left behind."""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from deployments.processes import parent_of

_MARK = "PARLEY_STACK_CHILD"
_PROC = Path("/proc")


def mark(home: Path) -> dict[str, str]:
    """The environment variable that every child of the stack, and theirs, carries."""
    return {_MARK: str(home)}


def find_strays(home: Path, recorded: Iterable[int]) -> tuple[int, ...]:
    """Marked processes that descend from no recorded one. Looks at Linux's /proc; elsewhere there is nothing to see."""
    if not _PROC.is_dir():
        return ()
    wanted = f"{_MARK}={home}".encode()
    kept = {os.getpid(), *recorded}
    ours = set(_lineage(os.getpid()))
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            pid = int(entry.name)
            marked = wanted in (entry / "environ").read_bytes().split(b"\0")
            if marked and pid not in ours and kept.isdisjoint(_lineage(pid)):
                found.append(pid)
    return tuple(found)


def kill_strays(home: Path, recorded: Iterable[int]) -> None:
    """Kill them outright: their parent is gone, and what they were doing is recovered by its lease."""
    for pid in find_strays(home, recorded):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _lineage(pid: int) -> Iterator[int]:
    """The process and its ancestors."""
    current: int | None = pid
    while current:
        yield current
        current = parent_of(current)
