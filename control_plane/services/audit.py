"""Verifying audit chains, and files of evidence that can be verified without the database."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.audit import ROLES_CHAIN, Entry, as_plain
from domain.audit_check import Found, Problem, check
from domain.errors import InputError, NotFound
from domain.merkle import Head, proven
from orchestration import anchors as anchoring
from storage.repositories.chains import load_found, task_ids

FORMAT = "parley-evidence/1"


@dataclass
class Verified:
    """What verifying found."""

    tasks: int = 0
    entries: int = 0
    unchained: int = 0
    """Tasks from before there was an audit chain."""
    erased: int = 0
    """Bodies that an erasure took, their hashes standing."""
    anchor: str | None = None
    """When the newest anchor was made that this was compared with; without one a cut tail cannot be seen."""
    key: str | None = None
    """Who signed it."""
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def take(self, found: Found, anchored: Head | None) -> None:
        """Check one task."""
        checked = check(found, anchored)
        self.tasks += found.task_id != ROLES_CHAIN
        self.entries += len(found.chain)
        self.unchained += not found.chain and found.head is None and anchored is None
        self.erased += checked.erased
        self.problems.extend(checked.problems)


async def verify(engine: AsyncEngine, home: Path, task_id: str | None, anchors_at: Path | None) -> Verified:
    """Verify every chain, or one task's, against its events and rows, and against the newest anchor.

    Raises NotFound, InputError.
    """
    began = time.perf_counter()
    anchors = read_anchors(home, anchors_at)
    result = Verified(problems=list(anchors.problems))
    if anchors.header is not None:
        result.anchor, result.key = anchors.header["at"], anchors.header["key"]
    left = dict(anchors.heads)
    async with engine.connect() as connection:
        # Everything is read as it stood at one moment.
        await connection.execution_options(isolation_level="REPEATABLE READ")
        if task_id is not None:
            await _one(connection, result, task_id, left.get(task_id))
        else:
            async for ids in task_ids(connection):
                for found in await load_found(connection, ids):
                    result.take(found, left.pop(found.task_id, None))
            result.problems.extend(_gone(head) for head in left.values())
    result.seconds = time.perf_counter() - began
    return result


async def _one(connection: AsyncConnection, result: Verified, task_id: str, anchored: Head | None) -> None:
    found = (await load_found(connection, [task_id]))[0]
    if found.task is None and not found.chain and found.head is None:
        if anchored is None:
            raise NotFound(f"there is no task {task_id}")
        result.problems.append(_gone(anchored))
        return
    result.take(found, anchored)


def _gone(head: Head) -> Problem:
    return Problem(head.task_id, head.seq, "cut", f"an anchor holds its chain of {head.seq} entries; the task is gone")


def read_anchors(home: Path, given: Path | None) -> anchoring.Anchors:
    """The anchors to compare with. Raises InputError where the named file is not there."""
    if given is not None and not given.exists():
        raise InputError(f"--anchors {given}: there is no such file")
    return anchoring.read_anchors(given or anchoring.folder(home) / "anchors.jsonl", anchoring.known_key(home))


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
    try:
        evidence = json.loads(path.read_text(encoding="utf-8"))
        found, anchor = _found(evidence), evidence["anchor"]
        result, anchored = Verified(), None
        if anchor is not None:
            anchored = _anchored(anchor, key, result)
    except OSError as problem:
        raise InputError(f"--file {path}: {problem.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"--file {path}: this is not evidence that `parley audit export` wrote") from None
    result.take(found, anchored)
    result.seconds = time.perf_counter() - began
    return result


def _found(evidence: Mapping[str, Any]) -> Found:
    if evidence["format"] != FORMAT:
        raise ValueError(evidence["format"])
    chain = [_read_entry(one) for one in evidence["chain"]]
    task_id, head = evidence["task_id"], evidence["head"]
    return Found(
        task_id=task_id,
        chain=chain,
        head=Head(task_id, head[0], bytes.fromhex(head[1])) if head else None,
        events={row["key"]: row for row in evidence["events"]},
        rows=evidence["rows"],
        task=evidence["task"],
    )


def _read_entry(one: Mapping[str, Any]) -> Entry:
    hashes = {name: bytes.fromhex(one[name]) for name in ("body_hash", "previous", "hash")}
    return Entry(**{**one, **hashes, "at": datetime.fromisoformat(one["at"])})


def _anchored(anchor: Mapping[str, Any], key: str | None, result: Verified) -> Head:
    """The head that the anchor holds; what is wrong with it goes to the result."""
    header = anchor["header"]
    task_id, seq, hashed = anchor["head"]
    head = Head(task_id, seq, bytes.fromhex(hashed))
    result.anchor, result.key = header["at"], header["key"]
    wrong = None
    if not anchoring.is_signed(header, anchor["signature"]):
        wrong = "the anchor's signature does not hold"
    elif key is not None and header["key"] != key:
        wrong = f"the anchor is signed by {header['key']}"
    elif proven(head, tuple((side, bytes.fromhex(one)) for side, one in anchor["proof"])).hex() != header["root"]:
        wrong = "the proof does not lead to the anchor's root"
    if wrong is not None:
        result.problems.append(Problem(task_id, seq, "anchor", wrong))
    return head
