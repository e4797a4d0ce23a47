"""Cases from a CSV or JSON-lines file: payloads with their keys and known outcomes."""

import csv
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from catalog.cells import convert
from catalog.payloads import check_payload
from domain.errors import CaseFileError, PayloadError
from domain.model import Frozen
from domain.strict_json import LIMIT_BYTES, JsonRefused, parse
from domain.task_type import TaskType

MAX_BYTES = 256 * 1024 * 1024
# A line of JSON has the limit of a document, and its end.
_MOST_BYTES = LIMIT_BYTES + 2


class Case(Frozen):
    """One row that can be submitted."""

    line: int
    """Where the row starts, counted from 1."""
    key: str
    payload: dict[str, Any]
    outcome: str | None


class BadLine(Frozen):
    """One row that cannot."""

    line: int
    problem: str


class CaseFile(Frozen):
    """The rows of a file, or of a part of it, each in the file's order."""

    cases: tuple[Case, ...]
    bad: tuple[BadLine, ...]


@dataclass(frozen=True)
class _Row:
    """A row before its values are checked; `problem` when it could not even be taken apart."""

    line: int
    values: Mapping[str, Any]
    problem: str | None = None


def read_cases(task_type: TaskType, path: Path, offset: int = 0, limit: int | None = None) -> CaseFile:
    """The file's rows from `offset` on, at most `limit` of them, good and bad counted alike; blank lines do not count.

    A file that ends in `.jsonl` holds one JSON object a line, with the same names as a CSV's columns. Without
    `cases` in the task type a row's key is its line number. Raises CaseFileError.
    """
    if offset < 0 or (limit is not None and limit < 0):
        raise CaseFileError("offset and limit must not be negative")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CaseFileError(f"{path}: larger than {MAX_BYTES} bytes")
        stop = None if limit is None else offset + limit
        if path.suffix == ".jsonl":
            with path.open("rb") as lines:
                return _sort_out(task_type, _json_rows(lines), offset, stop)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return _sort_out(task_type, _csv_rows(task_type, path, stream), offset, stop)
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read ({error.strerror}): give a CSV or a .jsonl file") from error
    except UnicodeDecodeError as error:
        raise CaseFileError(f"{path}: byte {error.start} is not UTF-8: save the file as UTF-8") from error


def _sort_out(task_type: TaskType, rows: Iterator[_Row], start: int, stop: int | None) -> CaseFile:
    cases: list[Case] = []
    bad: list[BadLine] = []
    lines: dict[str, int] = {}
    for position, row in enumerate(islice(rows, stop)):
        try:
            key = _key(task_type, row)
            # Rows before the offset count too: a key must mean one case, whichever part is read.
            if lines.setdefault(key, row.line) != row.line:
                raise ValueError(f"the key {key!r} stands on line {lines[key]} already")
            if position >= start:
                cases.append(_case(task_type, row, key))
        except (ValueError, PayloadError) as problem:
            if position >= start:
                bad.append(BadLine(line=row.line, problem=str(problem)))
    return CaseFile(cases=tuple(cases), bad=tuple(bad))


def _key(task_type: TaskType, row: _Row) -> str:
    if row.problem:
        raise ValueError(row.problem)
    if task_type.cases is None:
        return str(row.line)
    name = task_type.cases.key
    key = row.values.get(name)
    if isinstance(key, bool) or not isinstance(key, (str, int)) or not str(key).strip():
        raise ValueError(f"{name}: got {key!r}, expected the case's key")
    return str(key)


def _case(task_type: TaskType, row: _Row, key: str) -> Case:
    apart = _apart(task_type)
    payload = {name: value for name, value in row.values.items() if name not in apart}
    if isinstance(row.values, _Cells):
        payload = {name: convert(task_type.payload_schema, name, cell) for name, cell in payload.items()}
    return Case(line=row.line, key=key, payload=check_payload(task_type, payload), outcome=_outcome(task_type, row))


def _outcome(task_type: TaskType, row: _Row) -> str | None:
    if task_type.cases is None or task_type.cases.outcome is None:
        return None
    name = task_type.cases.outcome
    outcome = row.values.get(name)
    if outcome is None or outcome == "":
        return None
    if not isinstance(outcome, str) or (task_type.outcome_map and outcome not in task_type.outcome_map):
        raise ValueError(f"{name}: got {outcome!r}, expected one of {', '.join(task_type.outcome_map) or 'text'}")
    return outcome


def _apart(task_type: TaskType) -> set[str]:
    """Columns that are no part of the payload; the key is one only if the schema knows it."""
    if task_type.cases is None:
        return set()
    known = task_type.payload_schema.get("properties", {})
    key = set() if task_type.cases.key in known else {task_type.cases.key}
    return key | ({task_type.cases.outcome} if task_type.cases.outcome else set())


class _Cells(dict[str, str]):
    """A CSV row: every value is text still."""


def _csv_rows(task_type: TaskType, path: Path, stream: TextIO) -> Iterator[_Row]:
    reader = csv.reader(stream, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise CaseFileError(f"{path}: line 1: {error}") from error
    _check_header(task_type, path, header)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _Row(line, {}, f"not CSV: {error}")
            continue
        if cells and len(cells) != len(header):
            yield _Row(line, {}, f"got {len(cells)} columns, expected {len(header)}")
        elif cells:
            yield _Row(line, _Cells(zip(header, cells, strict=True)))


def _check_header(task_type: TaskType, path: Path, header: Sequence[str]) -> None:
    known = task_type.payload_schema.get("properties", {})
    needed = dict.fromkeys(task_type.payload_schema.get("required", ()))
    if task_type.cases is not None:
        needed |= dict.fromkeys(filter(None, (task_type.cases.key, task_type.cases.outcome)))
    problems = {
        "missing columns": [name for name in needed if name not in header],
        "columns given twice": sorted({name for name in header if header.count(name) > 1}),
        "columns that the payload schema does not know": [
            name for name in header if name not in known and name not in _apart(task_type)
        ],
    }
    found = [f"{what}: {', '.join(map(repr, names))}" for what, names in problems.items() if names]
    if found:
        raise CaseFileError(f"{path}: {'; '.join(found)}")


def _json_rows(stream: BufferedReader) -> Iterator[_Row]:
    """One for each line that is not blank; of one that is too long, no more is kept than shows it."""
    if stream.peek(len(BOM_UTF8)).startswith(BOM_UTF8):
        stream.read(len(BOM_UTF8))
    number = 0
    while line := stream.readline(_MOST_BYTES):
        number += 1
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(_MOST_BYTES)):
            continue
        raw = line.removesuffix(b"\n").removesuffix(b"\r")
        if raw.strip():
            yield _json_row(number, raw)


def _json_row(number: int, raw: bytes) -> _Row:
    try:
        value = parse(raw, limit=LIMIT_BYTES)
    except JsonRefused as error:
        return _Row(number, {}, f"not JSON that can be used: {error}")
    if not isinstance(value, dict):
        return _Row(number, {}, f"got {raw.decode().strip()[:60]}, expected a JSON object")
    return _Row(number, value)
