"""One task's evidence in a file: written from the database, and verified by somebody who does not have it."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.services.audit import Verified, read_anchors
from control_plane.services.evidence_file import FORMAT, Evidence, as_evidence
from domain.anchor import Inclusion, as_head
from domain.audit import Entry, as_plain
from domain.audit_found import Problem
from domain.errors import InputError, NotFound
from domain.merkle import Head, proven
from domain.strict_json import MAX_DEPTH, parse
from orchestration import anchors as anchoring
from storage.repositories.chains import load_found

LIMIT_BYTES = 64 * 1024 * 1024
DEPTH = MAX_DEPTH + 16
"""A payload as deep as one may be, in what a panel saw of it, in its row."""


async def export(engine: AsyncEngine, home: Path, task_id: str, anchors_at: Path | None) -> dict[str, Any]:
    """Everything about one task that somebody else can check. Raises NotFound."""
    anchors = read_anchors(home, anchors_at)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        found = (await load_found(connection, [task_id], whole=True))[0]
    if found.task is None:
        raise NotFound(f"there is no task {task_id}")
    return {
        "format": FORMAT,
        "task_id": task_id,
        "task": _plain(found.task),
        "plan": found.task["plan"],
        "chain": [_entry(entry) for entry in found.chain],
        "head": [found.head.seq, found.head.hash.hex()] if found.head else None,
        "events": [_plain(row) for row in found.events.values()],
        "rows": {table: [_plain(row) for row in some] for table, some in found.rows.items()},
        "anchor": anchoring.inclusion(anchors, task_id),
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: as_plain(value) for name, value in row.items()}


def _entry(entry: Entry) -> dict[str, Any]:
    told = entry._asdict()
    return {name: value.hex() if isinstance(value, bytes) else as_plain(value) for name, value in told.items()}


def verify_file(path: Path, key: str | None) -> Verified:
    """Verify a file of evidence by itself; `key` is the public key that its anchor has to be signed by.

    Raises InputError where it is none.
    """
    began = time.perf_counter()
    evidence = _read(path)
    result, anchored = Verified(), None
    if evidence.anchor is not None:
        anchored = as_head(evidence.anchor.head)
        result.anchor, result.key = evidence.anchor.header.at, evidence.anchor.header.key
    result.take(evidence.found(), anchored)
    result.problems += [Problem(evidence.task_id, None, *told) for told in _by_itself(evidence)]
    result.problems += [Problem(evidence.task_id, None, "anchor", told) for told in _anchor(evidence, anchored, key)]
    result.seconds = time.perf_counter() - began
    return result


def _read(path: Path) -> Evidence:
    try:
        with path.open("rb") as file:
            raw = file.read(LIMIT_BYTES + 1)
        return as_evidence(parse(raw, limit=LIMIT_BYTES, depth=DEPTH, stored=True))
    except OSError as problem:
        raise InputError(f"--file {path}: {problem.strerror}") from None
    except InputError as problem:
        told = f"this is not evidence that `parley audit export` wrote: {problem}"
        raise InputError(f"--file {path}: {told}") from None


def _by_itself(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What a database cannot have wrong."""
    if not evidence.chain:
        yield "missing", "there is no chain: nothing here is spoken for"
    for place in evidence.places_of_others():
        yield "edited", f"{place} is of another task than the file"
    if evidence.plan != evidence.task.get("plan"):
        yield "edited", "the plan is not that of the task's row"


def _anchor(evidence: Evidence, head: Head | None, key: str | None) -> Iterator[str]:
    """What is wrong with the anchor."""
    anchor = evidence.anchor
    if anchor is None or head is None:
        if key is not None:
            yield "there is none in the file that the key could have signed: export again once one is made"
        return
    if not anchoring.is_signed(anchor.header, anchor.signature):
        yield "its signature does not hold"
    elif key is not None and anchor.header.key != key:
        yield f"it is signed by {anchor.header.key}"
    elif not _is_below(head, anchor):
        yield "the proof does not lead to its root"


def _is_below(head: Head, anchor: Inclusion) -> bool:
    return proven(head, anchor.steps()).hex() == anchor.header.root
