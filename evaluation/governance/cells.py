"""Rows as files: one CSV with a kind column, or one JSON document. Both are written as they come."""

import csv
import json
import re
from collections.abc import Sequence
from datetime import UTC
from typing import IO, Any, Protocol

from domain.printable import one_line
from evaluation.governance.row import Row
from evaluation.governance.summary import Summary

FORMAT = "parley-governance/1"
COLUMNS = (
    "kind", "at", "task", "type", "subtask", "what", "outcome", "decided", "policies", "by", "role", "reason",
    "waited_seconds", "ref", "policy_hash", "event", "event_key", "seq", "entry_hash", "chain", "anchored", "copied",
)  # fmt: skip
"""Of the CSV."""
MAX_CELL = 4000
_FORMULA = re.compile(r"(^|;)([\s'\"]*)(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])")


def cell(value: object) -> str:
    """Text that a spreadsheet takes as text: in one line, and no formula at its start.

    Nor behind a semicolon, at which a spreadsheet of another country cuts. An apostrophe is put before it.
    """
    told = one_line(str(value))[:MAX_CELL]
    return _FORMULA.sub(r"\1\2'", told)


class Taker(Protocol):
    """What a report is written into."""

    def take(self, row: Row) -> None:
        """One row."""

    def finish(self, summary: Summary) -> None:
        """All rows were taken."""


class CsvFile:
    """One file, a kind column, a row a line; every cell in quotes."""

    def __init__(self, file: IO[str]) -> None:
        self._writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        self._writer.writerow(COLUMNS)

    def take(self, row: Row) -> None:
        """One line."""
        self._writer.writerow([cell(value) for value in _cells(row)])

    def finish(self, summary: Summary) -> None:
        """A CSV holds rows alone."""


def _cells(row: Row) -> Sequence[Any]:
    at = "" if row.at is None else row.at.astimezone(UTC).isoformat()
    waited = "" if row.waited is None else f"{row.waited:.3f}"
    anchored = "" if row.anchored is None else _said(row.anchored)
    return (
        row.kind, at, row.task, row.type, row.subtask, row.what, row.outcome, row.decided, "; ".join(row.policies),
        row.by, row.role, row.reason, waited, row.ref, row.policy_hash, row.event, row.key,
        "" if row.seq is None else row.seq, row.hash, row.chain, anchored, _said(row.copied),
    )  # fmt: skip


def _said(value: bool) -> str:
    return "yes" if value else "no"


class JsonFile:
    """One document: {format, rows, summary}, a row a line."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._first = file, True
        file.write(f'{{"format": "{FORMAT}",\n"rows": [')

    def take(self, row: Row) -> None:
        """One line."""
        told = json.dumps(row.told(), ensure_ascii=True, allow_nan=False)
        self._file.write(f"{'' if self._first else ','}\n{told}")
        self._first = False

    def finish(self, summary: Summary) -> None:
        """What stands on top of the page stands at the end of the file: it is known then."""
        told = json.dumps(summary.model_dump(mode="json"), ensure_ascii=True, allow_nan=False)
        self._file.write(f'\n],\n"summary": {told}}}\n')
