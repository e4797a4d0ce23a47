"""How the time that a filter takes grows with its text, whatever the machine."""

import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """The least CPU time of three runs."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def growth(check: Callable[[str], object], part: str, characters: int = 4_000) -> float:
    """How many times longer eight times the text takes: 8 in step with it, 64 by its square."""
    short = part * (characters // len(part))
    # What takes less than this is fixed cost and noise.
    return seconds(lambda: check(short * 8)) / max(seconds(lambda: check(short)), 0.0005)
