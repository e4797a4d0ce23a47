"""Recording what turned out to be right, for one task or for many cases."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.services.listing import unknown_task
from domain.errors import CaseFileError, InputError
from domain.task_type import TaskType
from storage.repositories import outcomes
from tasks.audit import review

_CHUNK = 2_000


@dataclass(frozen=True)
class LabelledCase:
    """What turned out to be right for one case."""

    line: int
    """In the file, from 1; the header is line 1."""
    key: str
    label: str


@dataclass(frozen=True)
class Problem:
    """A line of the file that was not used."""

    line: int
    problem: str


@dataclass(frozen=True)
class LabelFile:
    """A CSV of outcomes: the lines that can be used and those that cannot."""

    cases: Sequence[LabelledCase]
    bad: Sequence[Problem]


@dataclass(frozen=True)
class Recorded:
    """What recording in bulk did."""

    tasks: int
    cases: int
    unmatched: Sequence[str]
    """Keys of cases that no task was made from."""
    bad: Sequence[Problem]


def right_action(task_type: TaskType, label: str) -> str:
    """The action that the label makes right. Raises InputError that lists the labels."""
    if label not in task_type.outcome_map:
        known = ", ".join(sorted(task_type.outcome_map)) or "none is declared in its outcome_map"
        raise InputError(f"outcome {label!r}: not a label of {task_type.name}: one of {known}")
    return task_type.outcome_map[label]


async def record_one(
    engine: AsyncEngine, types: Mapping[str, TaskType], task_id: str, label: str, principal: str
) -> dict[str, Any]:
    """Record one task's outcome. Raises NotFound, or InputError for an unknown label."""
    async with engine.begin() as connection:
        name = await outcomes.task_type_of(connection, task_id)
        if name is None:
            raise unknown_task(task_id)
        if name not in types:
            raise InputError(f"task {task_id} is of type {name}, which the catalog does not have: set PARLEY_CATALOG")
        row = _row(task_id, label, right_action(types[name], label), principal)
        await outcomes.record(connection, [row])
        await review(connection, types[name], [task_id])
    return dict(row)


async def record_cases(
    engine: AsyncEngine,
    types: Mapping[str, TaskType],
    cases: Sequence[LabelledCase],
    principal: str,
    batch_ids: Sequence[str] | None = None,
) -> Recorded:
    """Record the outcomes of all tasks made from these cases, in all batches or the given ones."""
    bad: list[Problem] = []
    unmatched: list[str] = []
    count = 0
    for start in range(0, len(cases), _CHUNK):
        chunk = {case.key: case for case in cases[start : start + _CHUNK]}
        async with engine.begin() as connection:
            found = await outcomes.tasks_by_case(connection, list(types), list(chunk), batch_ids)
            rows: list[dict[str, str]] = []
            recorded: dict[str, list[str]] = {}
            for task in found:
                case = chunk[task["case_key"]]
                try:
                    action = right_action(types[task["task_type"]], case.label)
                except InputError as problem:
                    bad.append(Problem(case.line, str(problem)))
                else:
                    rows.append(_row(task["id"], case.label, action, principal))
                    recorded.setdefault(task["task_type"], []).append(task["id"])
            await outcomes.record(connection, rows)
            for name, task_ids in sorted(recorded.items()):
                await review(connection, types[name], task_ids)
        count += len(rows)
        matched = {task["case_key"] for task in found}
        unmatched += [key for key in chunk if key not in matched]
    return Recorded(count, len(cases), unmatched, bad)


def read_labels(path: Path, key: str, label: str) -> LabelFile:
    """The cases of a CSV. Raises CaseFileError when it cannot be read or lacks a column."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or ()
            for column in (key, label):
                if column not in columns:
                    raise CaseFileError(f"{path}: no column {column}: it has {', '.join(columns) or 'none'}")
            return _labels((reader.line_num, row[key], row[label]) for row in reader)
    except OSError as problem:
        raise CaseFileError(f"{path}: cannot be read ({problem.strerror}): give a CSV file") from None
    except UnicodeDecodeError as problem:
        raise CaseFileError(f"{path}: byte {problem.start} is not UTF-8: save the file as UTF-8") from None
    except csv.Error as problem:
        raise CaseFileError(f"{path}: line {reader.line_num + 1}: {problem}: give a CSV file") from None


def _labels(lines: Iterable[tuple[int, str | None, str | None]]) -> LabelFile:
    cases: dict[str, LabelledCase] = {}
    bad: list[Problem] = []
    for line, key, label in lines:
        if not key or not label:
            bad.append(Problem(line, "key or label is empty"))
        elif key in cases and cases[key].label != label:
            bad.append(Problem(line, f"case {key} has the label {cases[key].label} on line {cases[key].line}"))
        elif key not in cases:
            cases[key] = LabelledCase(line, key, label)
    return LabelFile(list(cases.values()), bad)


def _row(task_id: str, label: str, action: str, principal: str) -> dict[str, str]:
    return {"task_id": task_id, "label": label, "right_action": action, "recorded_by": principal}
