"""The arithmetic of audit chains: entries and their links, digests of rows, and what an erasure leaves behind."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from struct import pack
from typing import Any, NamedTuple

from domain.canonical import canonical_json

GENESIS = bytes(32)
"""What the first entry of a chain calls its previous hash."""

ROLES_CHAIN = "@roles"
"""The chain of who was given which role: it belongs to no task."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNSTABLE = re.compile(r"-0\.0|e\+")
_HASH = re.compile(r"[0-9a-f]{64}")
_MARK = "erased"


class Entry(NamedTuple):
    """One entry of a task's chain."""

    task_id: str
    seq: int
    at: datetime
    event: str
    key: str
    actor: str
    fence: int
    body_hash: bytes
    """Of the event's data, which stays in `events` and can be erased there."""
    previous: bytes
    hash: bytes
    body: dict[str, Any] | None
    """Nothing personal: the event's subtask, and the digests of the rows that were written with it."""


def link(entry: Entry) -> bytes:
    """The entry's hash, as `parley_audit_append` makes it. Each field has its length before it."""
    body = "" if entry.body is None else canonical_json(entry.body)
    fields = (
        entry.task_id.encode(),
        pack(">q", (entry.at - _EPOCH) // _MICROSECOND),
        entry.event.encode(),
        entry.key.encode(),
        entry.actor.encode(),
        pack(">q", entry.fence),
        entry.body_hash,
        body.encode(),
    )
    lengths = b"".join([pack(">i", len(one)) + one for one in fields])
    return hashlib.sha256(entry.previous + pack(">q", entry.seq) + lengths).digest()


def text_hash(text: str) -> str:
    """The sha256 of canonical JSON, in the form in which Postgres gives it back."""
    if _UNSTABLE.search(text):
        # jsonb keeps neither a negative zero nor an exponent.
        text = canonical_json(_as_stored(json.loads(text)))
    return hashlib.sha256(text.encode()).hexdigest()


def _as_stored(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_stored(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_stored(inner) for inner in value]
    if isinstance(value, float):
        shown = repr(value)
        return int(Decimal(shown)) if "e+" in shown else value + 0.0
    return value


def hash_of(value: Any) -> str:
    """The sha256 of a value's canonical JSON."""
    return text_hash(canonical_json(value))


def kept_hash(value: Any) -> str | None:
    """The hash that a mark holds, of what stood in its place; None where this is no mark.

    It is only what stands there: whether an erasure left it, the chain says (`domain.erasures`).
    """
    kept = value.get(_MARK) if isinstance(value, dict) else value
    if isinstance(value, str):
        kept = value.removeprefix(f"{_MARK}:") if value.startswith(f"{_MARK}:") else None
    return kept if isinstance(kept, str) and _HASH.fullmatch(kept) else None


def erased_json(value: Any, kept: Mapping[str, Any] | None = None, *, hashed: str | None = None) -> dict[str, Any]:
    """What stands in a JSON column once its value is erased: its hash (`hashed` where that is known already), and what
    is `kept` of it because it is not personal.
    """
    return {**(kept or {}), _MARK: hashed or hash_of(value)}


def erased_text(value: str) -> str:
    """What stands in a text column once its value is erased."""
    return f"{_MARK}:{hash_of(value)}"


def is_erased(value: Any) -> bool:
    """Whether this has the form of what an erasure leaves; for showing it, not for judging it."""
    if isinstance(value, dict):
        return _MARK in value
    return isinstance(value, str) and value.startswith(f"{_MARK}:")


def unmarked(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object without the mark, to be read as what it was."""
    return {name: inner for name, inner in value.items() if name != _MARK}


class Stated(NamedTuple):
    """Which columns of a table the chain speaks for."""

    table: str
    """The table that holds the rows."""
    key: tuple[str, ...]
    """Of a row within its task."""
    plain: tuple[str, ...]
    hashed: tuple[str, ...]
    """JSON, and texts that may be personal: these can be erased."""


STATED: Mapping[str, Stated] = {
    "decisions": Stated(
        "decisions", ("subtask_id",), ("kind", "option", "action", "strategy", "margin", "rounds"), ("body",)
    ),
    "proposals": Stated(
        "proposals", ("subtask_id", "round", "persona"), ("key", "option", "confidence"), ("struck", "body")
    ),
    "verdicts": Stated("verdicts", ("key",), ("subtask_id", "hop", "effect", "policy_hash"), ("policy_ids", "body")),
    "approvals": Stated(
        "approvals", ("id",), ("subtask_id", "cause", "digest", "role", "submitter", "expires_at"), ("shown",)
    ),
    "answers": Stated("approvals", ("id",), ("status", "option", "answered_by"), ("reason",)),
    "given": Stated(
        "approval_answers",
        ("approval_id", "principal"),
        ("submitter", "role", "grant_id", "answer", "option", "choice"),
        ("arguments", "reason"),
    ),
    "actions": Stated(
        "actions", ("subtask_id",), ("idempotency_key", "executor", "status"), ("request", "response", "error")
    ),
    "ends": Stated("subtasks", ("subtask_id",), ("status", "action"), ("reason",)),
    "records": Stated("records", ("idempotency_key",), ("action",), ("arguments",)),
    "memories": Stated("memories", ("id",), ("kind", "task_type"), ("text",)),
    "outcomes": Stated("outcomes", (), ("label", "right_action", "recorded_by"), ()),
    # What earlier releases did not speak for has kinds of its own: their chains are left as they are.
    "submitted": Stated(
        "tasks",
        (),
        (
            *("task_type", "type_version", "request_hash", "principal", "lane", "seed", "priority", "batch_id"),
            *("memory_as_of", "deadline_at", "forked_from", "fork_stage", "dry_run"),
        ),
        (),
    ),
    "plans": Stated("tasks", (), (), ("plan",)),
    "ended": Stated("tasks", (), ("status", "answer", "escalated"), ("reason", "summary")),
    "snapshots": Stated("snapshots", ("subtask_id", "round"), ("hash",), ("contexts", "degraded")),
    "learned": Stated("memories", ("id",), (), ("data",)),
    "asked": Stated("approvals", ("id",), ("created_at",), ()),
    "heard": Stated("approval_answers", ("approval_id", "principal"), ("at",), ()),
    "decided": Stated("approvals", ("id",), ("answered_at",), ()),
    "acted": Stated("actions", ("subtask_id",), ("kind", "attempts", "fence", "at", "sent_at"), ()),
    "spans": Stated("subtasks", ("subtask_id",), ("created_at", "ended_at"), ()),
    "kept": Stated("records", ("idempotency_key",), ("at",), ()),
}
"""By what is stated: what was asked of people and what they decided are two statements about one row, and `given` is
each person's answer; `ends` is how its subtasks ended.
"""

AT_THE_END = frozenset({"ends", "spans", "ended"})
"""Kinds that only a task's end speaks of."""

AGAIN = frozenset({"outcomes", "learned", "plans"})
"""Kinds of which the last statement counts: an outcome is corrected, a fork plans anew. Any other row is written once,
and kept where a stage is repeated.
"""

TIMES: Mapping[str, str] = {
    "submitted": "created_at",
    "ended": "ended_at",
    "decisions": "at",
    "verdicts": "at",
    "memories": "created_at",
    "outcomes": "recorded_at",
}
"""By kind the column that has the time of the transaction that wrote the row: that of the entry that speaks for it."""

NOT_COVERED: Mapping[str, tuple[str, ...]] = {
    "tasks": (
        *("case_key", "idempotency_key", "started_at", "parked_seconds", "parked_at", "due", "fence"),
        *("lease_owner", "lease_until", "cancel_requested", "pause_requested", "crashes"),
    ),
    "approvals": ("consumed", "step", "next_at"),
    "memories": ("seq",),
}
"""What of a task's rows no entry speaks for, by table: what moves while it runs, and short keys, whose hashes could be
guessed.
"""


def row_key(stated: Stated, row: Mapping[str, Any]) -> str:
    """The row's key within its task."""
    return "/".join([str(row[name]) for name in stated.key])


def row_digest(stated: Stated, row: Mapping[str, Any], hashes: Sequence[str | None]) -> str:
    """The row's digest; `hashes` are those of its hashed columns, in their order."""
    plain = [as_plain(row[name]) for name in stated.plain]
    return hashlib.sha256(canonical_json([stated.table, *plain, *hashes]).encode()).hexdigest()


def as_plain(value: Any) -> Any:
    """A value in its JSON form: times in UTC."""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
