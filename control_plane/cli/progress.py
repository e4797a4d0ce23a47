"""Progress bars, on stderr."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from control_plane.cli.output import as_text, console

if TYPE_CHECKING:
    from control_plane.services.batches import Follow


@contextmanager
def batch_bar(label: str, total: int) -> "Iterator[Follow]":
    """A bar that is moved by the counts it is given; silent where nobody watches."""
    # What batches need is heavy, and a bar for steps does without.
    from control_plane.services.batches import still

    with _progress() as progress:
        bar = progress.add_task(as_text(label), total=total)

        def follow(counts: Mapping[str, int]) -> None:
            progress.update(bar, completed=still(counts), total=max(total, sum(counts.values())))

        yield follow


@contextmanager
def step_bar(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar that each call moves by one of `total` steps; silent where nobody watches."""
    with _progress() as progress:
        bar = progress.add_task(as_text(label), total=total)
        yield lambda: progress.advance(bar)


@contextmanager
def count_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told how many of how many are done; silent where nobody watches."""
    with _progress() as progress:
        bar = progress.add_task(as_text(label), total=None)

        def follow(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        yield follow


def _progress() -> Progress:
    drawn = console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=drawn, disable=not drawn.is_terminal)
