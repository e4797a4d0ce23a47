"""Named points at which a process can be made to die, for tests of what it leaves behind.

`PARLEY_FAULT=execute:after_call` kills this process with SIGKILL when it comes to that point; `execute:inside@2` at the
second time; several are separated by commas. Without the variable, reaching a point is the test of a global for None.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar

TASK_NODES = ("intake", "plan", "dispatch", "wait", "compensate", "consolidate", "report")
SUBTASK_NODES = ("negotiate", "guard", "approve", "answer", "execute")
_NO_TRANSACTION = frozenset({"dispatch", "wait"})

POINTS: tuple[str, ...] = (
    *(
        f"{node}:{place}"
        for node in (*TASK_NODES, *SUBTASK_NODES)
        # before: as the node begins; inside: between a transaction's writes and its commit; after: as the node has
        # returned, before its checkpoint
        for place in ("before", "inside", "after")
        if not (place == "inside" and node in _NO_TRANSACTION)
    ),
    "execute:before_call",
    "execute:after_call",
    "checkpoint:before",
    "checkpoint:after",
    "park:before",
    "park:inside",
    "park:after",
    "release:before",
    "release:inside",
    "release:after",
)
"""Every point there is."""

Watch = Callable[[str], None]
"""Called with each point that is reached."""

NODE: ContextVar[str | None] = ContextVar("parley_node", default=None)
"""The node that is running; set only where points are watched."""


def parse(text: str) -> Mapping[str, int]:
    """Point -> the time at which it kills. Raises ValueError that names what is not a point."""
    wanted: dict[str, int] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        point, _, count = part.partition("@")
        if point not in POINTS or not (count or "1").isdecimal() or int(count or 1) < 1:
            raise ValueError(f"PARLEY_FAULT: {part!r} is no point: one of {', '.join(POINTS)}, or POINT@COUNT")
        wanted[point] = int(count or 1)
    return wanted


def killer(text: str, how: signal.Signals = signal.SIGKILL) -> Watch | None:
    """What dies at these points, or gets another signal there; None where there are none."""
    wanted, seen = parse(text), Counter[str]()
    if not wanted:
        return None

    def die(point: str) -> None:
        seen[point] += 1
        if wanted.get(point) == seen[point]:
            os.kill(os.getpid(), how)

    return die


_watch: Watch | None = killer(os.environ.get("PARLEY_FAULT", ""))


def watch(watcher: Watch | None) -> None:
    """Call this at every point from now on; graphs that are made already are not watched."""
    global _watch
    _watch = watcher


def watched() -> bool:
    """Whether anything is called at the points."""
    return _watch is not None


def reach(point: str) -> None:
    """Come to the point."""
    if _watch is not None:
        _watch(point)


def reach_inside() -> None:
    """Come to the point between a transaction's writes and its commit, in the node that is running."""
    if _watch is not None:
        node = NODE.get()
        if node is not None and node not in _NO_TRANSACTION:
            _watch(f"{node}:inside")
