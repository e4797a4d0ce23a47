"""Checking a task's audit chain against what it speaks for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from domain.audit import GENESIS, ROLES_CHAIN, STATED, Entry, Stated, link, row_digest, row_key
from domain.canonical import digest
from domain.erasures import Erasures
from domain.merkle import Head

BEGINS = frozenset({"task.submitted", "fork.created"})
"""First events of a chain that speaks for its whole task; older tasks have chains that begin midway, or none."""
ENDS = "report.done"

ANSWERED = frozenset({"approved", "refused"})

Row = Mapping[str, Any]


class Problem(NamedTuple):
    """Something that does not fit."""

    task_id: str
    seq: int | None
    """The entry at which it was found."""
    kind: str
    """edited, missing, reordered, outside (of the chain), head, cut (against an anchor), anchor."""
    detail: str


class Found(NamedTuple):
    """A task as it is found, in a database or in an evidence file."""

    task_id: str
    chain: Sequence[Entry]
    head: Head | None
    events: Mapping[str, Row]
    """By key."""
    rows: Mapping[str, Sequence[Row]]
    """By table."""
    task: Row | None


class Checked(NamedTuple):
    """What checking a task found."""

    problems: list[Problem]
    erased: int
    """Events' data and rows of which an erasure left no more than hashes."""


def check(found: Found, anchored: Head | None = None) -> Checked:
    """Check the chain, its head, its events and the rows that they speak for; and the head that an anchor holds."""
    problems = [*_links(found), *_head(found)]
    if anchored is not None:
        problems.extend(_anchored(found, anchored))
    erasures = Erasures(found.chain)
    told, erased_events = _events(found, erasures)
    rows, erased_rows = _rows(found, erasures)
    return Checked([*problems, *told, *rows, *_task(found, erasures)], erased_events + erased_rows)


def _links(found: Found) -> Iterator[Problem]:
    previous, seq = GENESIS, 0
    for entry in found.chain:
        if entry.seq > seq + 1:
            yield Problem(found.task_id, entry.seq, "missing", f"entries {seq + 1} to {entry.seq - 1} are gone")
        elif entry.seq <= seq:
            yield Problem(found.task_id, entry.seq, "reordered", f"it stands behind entry {seq}")
        elif entry.previous != previous:
            yield Problem(found.task_id, entry.seq, "reordered", "it does not follow the entry before it")
        if link(entry) != entry.hash:
            yield Problem(found.task_id, entry.seq, "edited", f"the entry of {entry.event} does not have its hash")
        previous, seq = entry.hash, entry.seq


def _head(found: Found) -> Iterator[Problem]:
    last = found.chain[-1] if found.chain else None
    if last is None and found.head is not None:
        yield Problem(found.task_id, None, "missing", f"its chain of {found.head.seq} entries is gone")
    elif last is not None and found.head is None:
        yield Problem(found.task_id, last.seq, "head", "the chain's head is gone")
    elif last is not None and found.head is not None and (last.seq, last.hash) != (found.head.seq, found.head.hash):
        told = f"the chain ends at {last.seq}, its head says {found.head.seq}"
        yield Problem(found.task_id, last.seq, "head", told)


def _anchored(found: Found, anchored: Head) -> Iterator[Problem]:
    entry = next((one for one in found.chain if one.seq == anchored.seq), None)
    if entry is None:
        there = f"it ends at {found.chain[-1].seq}" if found.chain else "nothing is left of it"
        told = f"an anchor holds entry {anchored.seq} of its chain; {there}"
        yield Problem(found.task_id, anchored.seq, "cut", told)
    elif entry.hash != anchored.hash:
        yield Problem(found.task_id, anchored.seq, "edited", "the entry is not the one that an anchor holds")


def _events(found: Found, erasures: Erasures) -> tuple[list[Problem], int]:
    left, problems, erased = dict(found.events), [], 0
    for entry in found.chain:
        event = left.pop(entry.key, None)
        if event is None:
            problems.append(Problem(found.task_id, entry.seq, "missing", f"the event {entry.key} is gone"))
            continue
        subtask = (entry.body or {}).get("subtask")
        if (event["event"], event["fence"], event["subtask_id"]) != (entry.event, entry.fence, subtask):
            problems.append(Problem(found.task_id, entry.seq, "edited", f"the event {entry.key} was changed"))
        place = ("events", entry.key, "data", event["data"])
        erased += erasures.left(*place)
        if bytes.fromhex(erasures.hash_of(*place, since=entry.seq)) != entry.body_hash:
            problems.append(Problem(found.task_id, entry.seq, "edited", f"the data of {entry.key} was changed"))
    if _whole(found):
        outside = (Problem(found.task_id, None, "outside", f"no entry speaks for the event {key}") for key in left)
        problems.extend(outside)
    return problems, erased


def _whole(found: Found) -> bool:
    if found.task_id == ROLES_CHAIN:
        return True
    return bool(found.chain) and found.chain[0].event in BEGINS


def _rows(found: Found, erasures: Erasures) -> tuple[list[Problem], int]:
    stated: dict[tuple[str, str], tuple[int, str]] = {}
    for entry in found.chain:
        for kind, some in ((entry.body or {}).get("rows") or {}).items():
            for key, hashed in some.items():
                # A row is written once, and kept where a stage is repeated; an outcome is corrected.
                if kind == "outcomes" or (kind, key) not in stated:
                    stated[kind, key] = (entry.seq, hashed)
    problems: list[Problem] = []
    erased = 0
    for kind, how in STATED.items():
        for row in found.rows.get(how.table, ()):
            told = stated.pop((kind, row_key(how, row)), None)
            if told is None:
                if _whole(found) and _should_be_stated(found, kind, row):
                    name = f"{how.table} {row_key(how, row)}".strip()
                    problems.append(Problem(found.task_id, None, "outside", f"no entry speaks for the row of {name}"))
                continue
            problems.extend(_row(found.task_id, how, row, erasures, *told))
            erased += any(erasures.left(how.table, row_key(how, row), name, row[name]) for name in how.hashed)
    for (kind, key), (seq, _) in stated.items():
        problems.append(Problem(found.task_id, seq, "missing", f"the row of {STATED[kind].table} {key} is gone"))
    return problems, erased


def _row(task_id: str, how: Stated, row: Row, erasures: Erasures, seq: int, hashed: str) -> Iterator[Problem]:
    key = row_key(how, row)
    hashes = [erasures.hash_of(how.table, key, name, row[name], since=seq) for name in how.hashed]
    if row_digest(how, row, hashes) != hashed:
        yield Problem(task_id, seq, "edited", f"the row of {how.table} {key} was changed")


def _should_be_stated(found: Found, kind: str, row: Row) -> bool:
    if kind == "answers":
        return row["status"] in ANSWERED
    if kind == "actions":
        # The task's end speaks for all of them.
        return any(entry.event == ENDS for entry in found.chain)
    if kind == "ends":
        return _speaks_of_ends(found)
    if kind == "records":
        # A call that nothing tells the end of may leave its record behind the task's end.
        actions = found.rows.get("actions", ())
        doubtful = any(one["idempotency_key"] == row["idempotency_key"] and one["status"] != "done" for one in actions)
        return _speaks_of_ends(found) and not doubtful
    return True


def _speaks_of_ends(found: Found) -> bool:
    """Whether its end speaks for its subtasks and records; ends of older releases do not."""
    return any(entry.event == ENDS and "ends" in ((entry.body or {}).get("rows") or {}) for entry in found.chain)


def _task(found: Found, erasures: Erasures) -> Iterator[Problem]:
    """Its payload and its end state, where its events speak for them."""
    if found.task is None:
        if found.chain and found.task_id != ROLES_CHAIN:
            yield Problem(found.task_id, None, "missing", "the task's row is gone")
        return
    if not _payload_holds(found, found.task, erasures):
        yield Problem(found.task_id, 1, "edited", "the task's payload is not the one that was submitted")
    ended = _data_of(found, ENDS)
    if ended is not None and (found.task["status"], found.task["answer"]) != (ended.get("status"), ended.get("answer")):
        yield Problem(found.task_id, None, "edited", "the task's status or answer is not the one that was reported")


def _payload_holds(found: Found, task: Row, erasures: Erasures) -> bool:
    """Whether the payload is the one that was submitted, or what policy let in of it at the door."""
    begun, payload = _begun(found), task["payload"]
    if begun is None or erasures.left("tasks", "", "payload", payload):
        return True
    door = next((row["body"] for row in found.rows.get("verdicts", ()) if row["key"] == "intake"), None)
    redacted = door.get("modified") if isinstance(door, Mapping) else None
    return (
        digest(payload) == redacted if redacted else digest([task["task_type"], payload]) == begun.get("request_hash")
    )


def _begun(found: Found) -> Row | None:
    """What its first event says of it."""
    event = found.events.get(found.chain[0].key) if _whole(found) else None
    return None if event is None else _readable(event["data"])


def _readable(data: Any) -> Row | None:
    """An event's data, of which an erasure leaves what is looked at here; None where somebody put something else there:
    that is told elsewhere.
    """
    return data if isinstance(data, Mapping) else None


def _data_of(found: Found, event: str) -> Row | None:
    """The data of the task's only such event; None where there is none."""
    data = next((row["data"] for row in found.events.values() if row["event"] == event), None)
    return _readable(data)
