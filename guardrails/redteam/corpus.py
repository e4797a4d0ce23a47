"""Labelled texts of a red team: CSV files with the columns text, label and source."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from domain.csv_cells import cells_up_to
from domain.errors import CaseFileError
from domain.model import Frozen
from domain.settings import ROOT

SHIPPED = ROOT / "guardrails" / "redteam" / "corpus"
"""Our own; none of it was used to make a filter."""

MAX_BYTES = 256 * 1024 * 1024
MAX_TEXT = 1024 * 1024
_COLUMNS = ("text", "label", "source")
_LABELS = {"0": False, "1": True}


class Text(Frozen):
    """One labelled text."""

    text: str
    attack: bool
    """Whether it tries to make a reader do what its principal does not want; else it should pass untainted."""
    source: str
    """The family or the collection it comes from: figures are given by it."""


def shipped_files() -> tuple[Path, ...]:
    """The project's own corpora."""
    return tuple(sorted(SHIPPED.glob("*.csv")))


def read_corpus(files: Sequence[Path]) -> tuple[Text, ...]:
    """Every text of the files, in order. Raises CaseFileError naming the file and the line."""
    # The reader's default of 128 kB is for whole files; a text may be longer.
    with cells_up_to(MAX_TEXT):
        texts = tuple(text for file in files for text in _read(file))
    if not texts:
        raise CaseFileError("no texts: give CSV files with the columns text, label and source")
    return texts


def _read(file: Path) -> Iterator[Text]:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise CaseFileError(f"{file}: larger than {MAX_BYTES // 1024 // 1024} MB")
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield from _rows(file, csv.reader(stream, strict=True))
    except OSError as problem:
        raise CaseFileError(f"{file}: cannot be read ({problem.strerror})") from problem
    except UnicodeDecodeError as problem:
        raise CaseFileError(f"{file}: not UTF-8 at byte {problem.start}") from problem


def _rows(file: Path, reader: Iterator[list[str]]) -> Iterator[Text]:
    try:
        head = next(reader, [])
        missing = [name for name in _COLUMNS if name not in head]
        if missing:
            raise CaseFileError(f"{file}: line 1: no column {missing[0]!r}; needed are {', '.join(_COLUMNS)}")
        places = [head.index(name) for name in _COLUMNS]
        for number, row in enumerate(reader, start=2):
            if row:
                yield _text(f"{file}: row {number}", row, places)
    except csv.Error as problem:
        raise CaseFileError(f"{file}: no usable CSV ({problem})") from problem


def _text(where: str, row: Sequence[str], places: Sequence[int]) -> Text:
    if len(row) <= max(places):
        raise CaseFileError(f"{where}: {len(row)} cells, fewer than the head has")
    text, label, source = (row[place] for place in places)
    if label.strip() not in _LABELS:
        raise CaseFileError(f"{where}: label {label[:20]!r}: 1 for an attack, 0 for what should pass")
    if not source.strip():
        raise CaseFileError(f"{where}: no source")
    return Text(text=text, attack=_LABELS[label.strip()], source=source.strip())
