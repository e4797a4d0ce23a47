"""Writing the audit chain: events, the digests of the rows that they state, and the one call that appends."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import STATED, hash_of, row_digest, row_key, text_hash
from domain.canonical import canonical_json
from domain.erasures import NAMED, Named
from storage.tables import events
from storage.writes import Append, Encoded, insert_all, json_columns


class Chain:
    """What one transaction appends to one task's chain."""

    def __init__(self, task_id: str, fence: int, actor: str) -> None:
        self._task_id, self._fence, self._actor = task_id, fence, actor
        self._stated: dict[str, dict[str, str]] = {}
        self._erased: Named = {}

    def state(self, kind: str, row: Mapping[str, Any]) -> None:
        """Have the transaction's last event speak for this row, by its digest. `kind` is one of STATED."""
        stated = STATED[kind]
        hashes = [_hash(row[name]) for name in stated.hashed]
        self._stated.setdefault(kind, {})[row_key(stated, row)] = row_digest(stated, row, hashes)

    def erase(self, named: Named) -> None:
        """Have the transaction's last event name what an erasure blanked."""
        self._erased = named

    def event(self, key: str, event: str, data: dict[str, Any], subtask_id: str | None = None) -> dict[str, Any]:
        """The `events` row."""
        return {
            "task_id": self._task_id,
            "key": key,
            "event": event,
            "subtask_id": subtask_id,
            "fence": self._fence,
            "data": Encoded(canonical_json(data)),
        }

    def append(self, rows: Sequence[Mapping[str, Any]]) -> Append:
        """The call that appends these events, those of them that were not written before."""
        entries = [_entry(row) for row in rows]
        if self._stated:
            entries[-1]["body"] = {**(entries[-1]["body"] or {}), "rows": self._stated}
            self._stated = {}
        if self._erased:
            entries[-1]["body"] = {**(entries[-1]["body"] or {}), NAMED: self._erased}
            self._erased = {}
        for entry in entries:
            entry["body"] = canonical_json(entry["body"]) if entry["body"] is not None else None
        return Append(self._task_id, self._fence, self._actor, json.dumps(entries))


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "event": row["event"],
        "key": row["key"],
        "body_hash": text_hash(row["data"]),
        "body": {"subtask": row["subtask_id"]} if row["subtask_id"] is not None else None,
    }


def _hash(value: Any) -> str:
    return text_hash(value) if isinstance(value, Encoded) else hash_of(value)


async def write_event(
    connection: AsyncConnection,
    task_id: str,
    key: str,
    event: str,
    data: dict[str, Any],
    *,
    fence: int,
    actor: str,
    subtask_id: str | None = None,
    rows: Sequence[tuple[str, Mapping[str, Any]]] = (),
    erased: Named | None = None,
) -> None:
    """Write an event once for its key and append it to the chain, in the caller's transaction, without a run.

    `rows` are (kind, row) pairs that the event speaks for; `erased` is what it blanked. The caller has locked the
    task's row.
    """
    chain = Chain(task_id, fence, actor)
    chain.erase(erased or {})
    for kind, row in rows:
        chain.state(kind, row)
    written = chain.event(key, event, data, subtask_id)
    await insert_all(connection, {events: [written]}, chain.append([written]))


_NUMBER = text("SELECT count(*) + 1 FROM events WHERE task_id = :id AND event = :event")


async def next_key(connection: AsyncConnection, task_id: str, event: str) -> str:
    """A key for an event that may come several times; the caller has locked the task's row."""
    return f"{event}:{await connection.scalar(_NUMBER, {'id': task_id, 'event': event})}"


_MANY = text(
    "WITH given AS MATERIALIZED (SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) "
    " AS g(task_id text, key text, event text, fence bigint, data jsonb, actor text, entries jsonb)), "
    "written AS (INSERT INTO events (task_id, key, event, fence, data) "
    " SELECT task_id, key, event, fence, data FROM given ORDER BY task_id ON CONFLICT DO NOTHING RETURNING task_id) "
    "SELECT count(parley_audit_append(g.task_id, g.fence, g.actor, g.entries, NULL)) "
    "FROM (SELECT given.* FROM given JOIN written USING (task_id) ORDER BY task_id) g"
)


async def write_events(connection: AsyncConnection, found: Sequence[tuple[Chain, str, str, dict[str, Any]]]) -> None:
    """One event (chain, key, event, data) for each of many tasks, by one statement."""
    rows = []
    for chain, key, event, data in found:
        row = chain.event(key, event, data)
        call = chain.append([row])
        rows.append({**row, "data": data, "actor": call.actor, "entries": json.loads(call.entries)})
    if rows:
        await connection.execute(_MANY, {"rows": canonical_json(rows)})


def encoded(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its JSON columns written out, once for the insert and for the digest."""
    columns = json_columns(table)
    return {name: Encoded(canonical_json(value)) if name in columns else value for name, value in row.items()}
