"""Votes from the lines of a CSV file."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from domain.errors import CaseFileError

COLUMNS = ("item", "annotator", "label", "confidence", "gold")
"""What the header must name, in any order; further columns are ignored."""
LISTED = 1_000
"""Bad rows that are kept with their problems; beyond it they are only counted."""
_SHOWN = 60


class BadRow(NamedTuple):
    """A row that was left out."""

    line: int
    """Where the row starts, counted from 1; the header is line 1."""
    problem: str


class Given(NamedTuple):
    """One vote as the file has it."""

    annotator: str
    label: str | None
    """None abstains."""
    confidence: float | None
    """In [0, 1]; None where the file states none."""


@dataclass(frozen=True, slots=True)
class Item:
    """The votes on one item and what is right."""

    key: str
    right: str
    votes: tuple[Given, ...]
    """Ordered by annotator, one each."""


@dataclass(frozen=True, slots=True)
class Votebook:
    """Everything usable in a file. Equal for the same rows in another order."""

    items: tuple[Item, ...]
    """Ordered by key."""
    labels: tuple[str, ...]
    """Every label that somebody voted for or that is right somewhere, in order."""
    annotators: tuple[str, ...]
    """In order."""
    votes: int
    """Rows used, abstentions included."""
    bad: tuple[BadRow, ...]
    """In the file's order, the first LISTED of them."""
    bad_count: int


def read_votes(lines: Iterable[str]) -> Votebook:
    """The votes of a CSV's lines, each with its line end. A row that cannot be used is left out and listed.

    Raises CaseFileError where the header lacks a column, a line holds a NUL or a cell is longer than the reader
    takes, and where no row can be used.
    """
    source = _Lines(lines)
    rows = _rows(source)
    _, header = next(rows, (1, []))
    gathered = _Gathered()
    if isinstance(header, str):
        raise CaseFileError(f"line 1: {header}: give a CSV file with the columns {', '.join(COLUMNS)}")
    columns = itemgetter(*_positions(header))
    width = len(header)
    for line, cells in rows:
        if isinstance(cells, str):
            gathered.leave_out(line, cells)
        elif len(cells) != width:
            source.rewind()
            gathered.leave_out(line, f"got {len(cells)} cells, expected {width}")
        else:
            gathered.add(line, *columns(cells))
    return gathered.book()


def _positions(header: Sequence[str]) -> list[int]:
    names = [name.strip() for name in header]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        has = ", ".join(_short(name) for name in names) or "none"
        raise CaseFileError(
            f"line 1: no column {', '.join(missing)}: it has {has}; expected are {', '.join(COLUMNS)}, a comma apart"
        )
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise CaseFileError(f"line 1: columns given twice: {', '.join(twice)}: give each once")
    return [names.index(name) for name in COLUMNS]


class _Lines:
    """Lines that can be taken back to the second one of the row that was read last."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self.row: list[str] = []
        """The lines of the row that is being read."""
        self.taken = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken += 1
        if "\0" in line:
            raise CaseFileError(f"line {self.taken}: holds a NUL character: give a CSV file in UTF-8")
        self.row.append(line)
        return line

    def rewind(self) -> None:
        """Read again from the row's second line on: a quotation mark left open swallows the rows behind it."""
        self._again.extendleft(reversed(self.row[1:]))
        self.taken -= len(self.row) - 1
        del self.row[1:]


def _rows(source: _Lines) -> Iterator[tuple[int, list[str] | str]]:
    """Each row's first line and its cells, or what is wrong with it; blank lines are passed over."""
    reader = csv.reader(source, strict=True)
    while True:
        source.row.clear()
        line = source.taken + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if len(source.row) == 1 and "field limit" in str(error):
                limit = csv.field_size_limit()
                raise CaseFileError(f"line {line}: a cell is longer than {limit} characters: shorten it") from None
            open_mark = len(source.row) > 1 or "end of data" in str(error)
            source.rewind()
            yield line, "not CSV: a quotation mark is left open" if open_mark else f"not CSV: {error}"
            continue
        if cells:
            yield line, cells


@dataclass(slots=True)
class _Gathered:
    rights: dict[str, str] = field(default_factory=dict)
    votes: dict[str, dict[str, Given]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Each annotator and label once, so that a million votes share their texts."""
    confidences: dict[str, float | None] = field(default_factory=dict)
    """By their text in the file."""
    bad: list[BadRow] = field(default_factory=list)
    bad_count: int = 0

    def add(self, line: int, item: str, annotator: str, label: str, confidence: str, gold: str) -> None:
        """Take the row in, or leave it out."""
        problem = self._problem(item, annotator, confidence, gold)
        if problem is not None:
            self.leave_out(line, problem)
            return
        name = self.names.setdefault
        self.rights.setdefault(item, name(gold, gold))
        voted = name(label, label) if label.strip() else None
        given = Given(name(annotator, annotator), voted, self.confidences[confidence])
        self.votes.setdefault(item, {})[annotator] = given

    def leave_out(self, line: int, problem: str) -> None:
        """Note a row that is not used."""
        self.bad_count += 1
        if len(self.bad) < LISTED:
            self.bad.append(BadRow(line, problem))

    def _problem(self, item: str, annotator: str, confidence: str, gold: str) -> str | None:
        if not item.strip():
            return "item is empty"
        if not annotator.strip():
            return "annotator is empty"
        if not gold.strip():
            return "gold is empty"
        if confidence not in self.confidences:
            try:
                self.confidences[confidence] = _confidence(confidence)
            except ValueError:
                return f"confidence: got {_short(confidence)}, expected a number in [0, 1] or nothing"
        if self.rights.get(item, gold) != gold:
            return f"gold: got {_short(gold)}, the item {_short(item)} has {_short(self.rights[item])} before"
        if annotator in self.votes.get(item, ()):
            return f"a second vote of {_short(annotator)} on the item {_short(item)}"
        return None

    def book(self) -> Votebook:
        """Everything that was taken in. Raises CaseFileError where that is nothing."""
        if not self.votes:
            why = f"; first, line {self.bad[0].line}: {self.bad[0].problem}" if self.bad else ""
            raise CaseFileError(f"no row can be used ({self.bad_count} bad{why}): see `parley votes --help`")
        items = tuple(
            Item(key, self.rights[key], tuple(votes[name] for name in sorted(votes)))
            for key, votes in sorted(self.votes.items())
        )
        voted = {vote.label for item in items for vote in item.votes if vote.label is not None}
        return Votebook(
            items=items,
            labels=tuple(sorted(voted | set(self.rights.values()))),
            annotators=tuple(sorted({vote.annotator for item in items for vote in item.votes})),
            votes=sum(len(item.votes) for item in items),
            bad=tuple(self.bad),
            bad_count=self.bad_count,
        )


def _confidence(text: str) -> float | None:
    if not text.strip():
        return None
    value = float(text)
    # NaN compares false; float() alone would take 0_1 for 1.
    if not 0.0 <= value <= 1.0 or "_" in text:
        raise ValueError(text)
    return value


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
