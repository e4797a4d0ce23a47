"""What the filters say of every row of a CSV file."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from domain.csv_cells import cells_up_to
from domain.errors import CaseFileError, InputError
from domain.guard import Finding, Hop, Subject
from domain.guards_spec import FormSpec
from domain.ports import Guard
from guardrails.filters.form import Form
from guardrails.filters.injection import Injection, score
from guardrails.filters.pii import Pii
from guardrails.filters.secrets import Secrets
from guardrails.injection.model import THRESHOLD
from guardrails.looking import looked

MAX_CELL = 2_000_000
"""Characters; a longer cell is refused."""


@dataclass(frozen=True)
class Request:
    """What is to be read."""

    file: Path
    column: str
    threshold: float | None = None
    """None: the shipped one."""

    @property
    def limit(self) -> float:
        """From which score on a row is flagged."""
        return THRESHOLD if self.threshold is None else self.threshold


class Scanned(NamedTuple):
    """One data row."""

    row: int
    """Counted from 1, the header not among them; blank lines are no rows."""
    score: float
    """Of the injection filter, in [0, 1]; 1 where it failed."""
    flagged: bool
    """Whether that is at or above the threshold."""
    findings: tuple[Finding, ...]


class _Row(NamedTuple):
    number: int
    text: str


def count_rows(request: Request) -> int:
    """How many rows there are. Reads the whole file, so that what is wrong with it is told before anything is printed.

    Raises InputError for the threshold, CaseFileError for the file: it names the line.
    """
    if not 0.0 <= request.limit <= 1.0:
        raise InputError(f"--threshold {request.limit:g}: expected a number from 0 to 1")
    return sum(1 for _ in _rows(request))


def scan(request: Request) -> Iterator[Scanned]:
    """Every row as the filters see it, in order. Raises CaseFileError, and ModelRefused for a changed model."""
    injection = Injection()
    injection.prepare()
    guards: Sequence[Guard] = (injection, Secrets(), Pii(), Form(FormSpec()))
    for row in _rows(request):
        yield _scanned(row, guards, request.limit)


def _scanned(row: _Row, guards: Sequence[Guard], threshold: float) -> Scanned:
    subject = Subject(hop=Hop.INPUT, text=row.text)
    findings = tuple(finding for guard in guards if (finding := looked(guard, subject)) is not None)
    failed = any(finding.error is not None and finding.guard_id == Injection.id for finding in findings)
    value = 1.0 if failed else score(row.text).score
    return Scanned(row.number, value, value >= threshold, findings)


def _rows(request: Request) -> Iterator[_Row]:
    path, line = request.file, 0
    try:
        with cells_up_to(MAX_CELL), path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            at = _position(path, header, request.column)
            number = 0
            for cells in rows:
                line = rows.line_num
                if not cells:
                    continue
                number += 1
                yield _Row(number, _cell(path, line, cells, at, len(header)))
    except OSError as problem:
        raise CaseFileError(f"{path}: cannot be read ({problem.strerror}): give a CSV file") from None
    except UnicodeDecodeError:
        raise CaseFileError(f"{path}: line {_bad_line(path)}: not UTF-8: save the file as UTF-8") from None
    except csv.Error as problem:
        raise CaseFileError(f"{path}: after line {line}: {problem}: expected a CSV file") from None


def _position(path: Path, header: Sequence[str], column: str) -> int:
    if header.count(column) != 1:
        what = "no column" if column not in header else "more than one column"
        has = ", ".join(name[:60] for name in header[:20]) or "none"
        raise CaseFileError(f"{path}: line 1: {what} {column!r}: it has {has}; name one with --column")
    return header.index(column)


def _cell(path: Path, line: int, cells: Sequence[str], at: int, width: int) -> str:
    if len(cells) != width:
        raise CaseFileError(f"{path}: line {line}: got {len(cells)} cells, expected {width} as in the header")
    if any("\0" in cell for cell in cells):
        raise CaseFileError(f"{path}: line {line}: holds a NUL character: give a CSV file in UTF-8")
    return cells[at]


def _bad_line(path: Path) -> int:
    """The first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1
