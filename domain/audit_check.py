"""Checking a task's audit chain against what it speaks for."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from domain.audit import GENESIS, ROLES_CHAIN, STATED, Stated, link, row_digest, row_key
from domain.audit_found import ENDS, Found, Problem, Row
from domain.audit_spoken import Spoken
from domain.canonical import digest
from domain.erasures import Erasures
from domain.merkle import Head


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
    spoken = Spoken(found)
    rows, erased_rows = _rows(found, spoken, erasures)
    end = [*_task(found, erasures), *spoken.problems()]
    return Checked([*problems, *told, *rows, *end], erased_events + erased_rows)


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
        subtask = entry.body.get("subtask") if isinstance(entry.body, Mapping) else None
        if (event["event"], event["fence"], event["subtask_id"]) != (entry.event, entry.fence, subtask):
            problems.append(Problem(found.task_id, entry.seq, "edited", f"the event {entry.key} was changed"))
        place = ("events", entry.key, "data", event["data"])
        erased += erasures.left(*place)
        if bytes.fromhex(erasures.hash_of(*place, since=entry.seq)) != entry.body_hash:
            problems.append(Problem(found.task_id, entry.seq, "edited", f"the data of {entry.key} was changed"))
    if found.whole:
        outside = (Problem(found.task_id, None, "outside", f"no entry speaks for the event {key}") for key in left)
        problems.extend(outside)
    return problems, erased


def _rows(found: Found, spoken: Spoken, erasures: Erasures) -> tuple[list[Problem], int]:
    left = dict(spoken.said)
    problems: list[Problem] = []
    erased = 0
    for kind, how in STATED.items():
        for row in found.rows_of(how.table):
            key = row_key(how, row)
            said = left.pop((kind, key), None)
            if said is None:
                if spoken.should(kind, row):
                    name = f"{how.table} {key}".strip()
                    problems.append(Problem(found.task_id, None, "outside", f"no entry speaks for the row of {name}"))
                continue
            problems.extend(_row(found.task_id, how, row, erasures, said.entry.seq, said.digest))
            erased += any(erasures.left(how.table, key, name, row[name]) for name in how.hashed)
    gone = {Problem(found.task_id, said.entry.seq, *told) for at, said in left.items() if (told := _gone(*at))}
    return [*problems, *sorted(gone)], erased


def _gone(kind: str, key: str) -> tuple[str, str] | None:
    """What is wrong where no row is left of what an entry speaks for. That a task's own is gone is told once."""
    if kind not in STATED:
        return "edited", f"the entry speaks for a {kind!r}, which this release does not know: verify with a newer one"
    table = STATED[kind].table
    return None if table == "tasks" else ("missing", f"the row of {table} {key}".strip() + " is gone")


def _row(task_id: str, how: Stated, row: Row, erasures: Erasures, seq: int, hashed: str) -> Iterator[Problem]:
    key = row_key(how, row)
    hashes = [erasures.hash_of(how.table, key, name, row[name], since=seq) for name in how.hashed]
    if row_digest(how, row, hashes) != hashed:
        name = f"{how.table} {key}".strip()
        yield Problem(task_id, seq, "edited", f"the row of {name} was changed")


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
    event = found.events.get(found.chain[0].key) if found.whole and found.chain else None
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
