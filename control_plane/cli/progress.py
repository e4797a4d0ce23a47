"""A progress bar for a batch, on stderr."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from control_plane.cli.output import console
from control_plane.services.batches import Follow, still


@contextmanager
def batch_bar(label: str, total: int) -> Iterator[Follow]:
    """A bar that is moved by the counts it is given; silent where nobody watches."""
    drawn = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=drawn, disable=not drawn.is_terminal) as progress:
        bar = progress.add_task(label, total=total)

        def follow(counts: Mapping[str, int]) -> None:
            progress.update(bar, completed=still(counts), total=max(total, sum(counts.values())))

        yield follow
