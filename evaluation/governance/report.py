"""Making a governance report: each task's chain is verified and its rows are told, from what is read at one moment."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.audit_check import check
from domain.audit_found import Problem
from domain.errors import InputError
from domain.merkle import Head
from domain.model import Frozen
from evaluation.governance.cells import CsvFile, JsonFile, Taker
from evaluation.governance.chained import Chained
from evaluation.governance.page import Page
from evaluation.governance.summary import Summary
from evaluation.governance.tally import Tally
from evaluation.governance.told import rows_of
from evaluation.governance.window import Window
from storage.repositories.chains import AT_ONCE, load_found
from storage.repositories.governed import ids_in_scope, known_ids

FORMATS: Mapping[str, Callable[[IO[str]], Taker]] = {"html": Page, "csv": CsvFile, "json": JsonFile}
"""What a report can be written as."""
Follow = Callable[[int, int], None]
"""Told how many tasks were gone through, of how many."""


@dataclass(frozen=True)
class Under:
    """The anchor that a report stands under."""

    header: Mapping[str, Any] | None
    """None where there is none."""
    heads: Mapping[str, Head]
    problems: tuple[Problem, ...] = ()
    """Of the file of anchors itself."""


class Made(Frozen):
    """A report that was written."""

    summary: Summary
    files: dict[str, str]
    """Format -> path."""
    sha256: dict[str, str]
    """Format -> of the file, to be kept where the file is not."""


async def make_report(
    engine: AsyncEngine,
    window: Window,
    under: Under,
    files: Mapping[str, Path],
    *,
    report_id: str,
    made_at: datetime,
    follow: Follow,
) -> Made:
    """Write the report of the window in each format to its file. Raises InputError."""
    window.check()
    tally = Tally(window)
    tally.problems(under.problems)
    with ExitStack() as stack:
        opened = {name: stack.enter_context(_written(path)) for name, path in files.items()}
        takers = [FORMATS[name](file) for name, file in opened.items()]
        await _go_through(engine, window, under, tally, takers, follow)
        summary = tally.summary(report_id, made_at, under.header)
        for taker in takers:
            taker.finish(summary)
    sums = {name: _sha(path) for name, path in files.items()}
    return Made(summary=summary, files={name: str(path) for name, path in files.items()}, sha256=sums)


async def _go_through(
    engine: AsyncEngine, window: Window, under: Under, tally: Tally, takers: Sequence[Taker], follow: Follow
) -> None:
    anchors = under.header is not None
    async with engine.connect() as connection:
        # Everything is read as it stood at one moment.
        await connection.execution_options(isolation_level="REPEATABLE READ")
        if anchors:
            known = await known_ids(connection)
            tally.problems(_gone(under.heads[one]) for one in sorted(under.heads.keys() - known))
        ids = await ids_in_scope(connection, window.since, window.until, window.task_type)
        follow(0, len(ids))
        for start in range(0, len(ids), AT_ONCE):
            for found in await load_found(connection, ids[start : start + AT_ONCE]):
                anchored = under.heads.get(found.task_id)
                checked = check(found, anchored)
                chained = Chained(found, checked.problems, anchored, anchors=anchors)
                tally.task(found, checked, chained, anchored is not None)
                for row in sorted(rows_of(found, chained), key=lambda one: (one.seq or 0, one.kind, one.ref)):
                    if window.covers(row.at):
                        tally.row(row)
                        for taker in takers:
                            taker.take(row)
            follow(min(start + AT_ONCE, len(ids)), len(ids))


def _gone(head: Head) -> Problem:
    return Problem(head.task_id, head.seq, "cut", f"an anchor holds its chain of {head.seq} entries; the task is gone")


@contextmanager
def _written(path: Path) -> Iterator[IO[str]]:
    """A file that takes its place when it is whole, for its owner's eyes alone. Raises InputError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as problem:
        raise InputError(f"--out {path}: {problem.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
        Path(draft).replace(path)
    except IsADirectoryError:
        raise InputError(f"--out {path}: it is a folder: name a file") from None
    finally:
        Path(draft).unlink(missing_ok=True)


def _sha(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
