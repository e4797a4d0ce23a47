"""The direct lane of this checkout beside that of another: `python -m bench.paired OTHER [--rounds 12]`.

Both run in alternating slices on Postgres servers of their own, so that what the machine does besides hits both alike.
The other checkout needs an environment of its own (`make .venv/.installed` there).
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.lanes import tell
from domain.settings import ROOT

WARM_UP = 24
TASKS = 50


class Lane:
    """A checkout's direct lane, waiting to be asked for slices."""

    def __init__(self, checkout: Path) -> None:
        command = [str(checkout / ".venv/bin/python"), str(ROOT / "bench/slices.py")]
        self._process = subprocess.Popen(
            command, cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def slice(self, count: int) -> tuple[float, float]:
        """Tasks a second, and milliseconds of processor time a task."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        rate, spent = json.loads(self.line())
        return rate, spent

    def line(self) -> str:
        """What it says next. Ends the command where it has ended."""
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            sys.exit(f"{self._process.args}: ended with {self._process.wait()}")
        return line.strip()

    def end(self) -> None:
        """It takes its Postgres with it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def lanes(checkouts: Sequence[Path]) -> Iterator[list[Lane]]:
    """Warm ones."""
    made = [Lane(one) for one in checkouts]
    try:
        for one in made:
            one.line()
            one.slice(WARM_UP)
        yield made
    finally:
        for one in made:
            one.end()


def main() -> None:
    """Print the medians, and this checkout's share of the other's, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="a checkout with an environment")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    rounds = []
    with lanes([ROOT, options.other.resolve()]) as (this, other):
        for number in range(options.rounds):
            order = (this, other) if number % 2 else (other, this)
            found = {one: one.slice(TASKS) for one in order}
            rounds.append((found[this], found[other]))
            tell(f"round {number}: {found[this][0]:.1f}/s beside {found[other][0]:.1f}/s")
    print(json.dumps(_figures(rounds)))


def _figures(rounds: Sequence[tuple[tuple[float, float], tuple[float, float]]]) -> dict[str, dict[str, float]]:
    told = {}
    for at, name in enumerate(("tasks_per_second", "processor_ms_per_task")):
        told[name] = {
            "this": round(statistics.median(this[at] for this, _ in rounds), 2),
            "other": round(statistics.median(other[at] for _, other in rounds), 2),
            "ratio": round(statistics.median(this[at] / other[at] for this, other in rounds), 3),
        }
    return told


if __name__ == "__main__":
    main()
