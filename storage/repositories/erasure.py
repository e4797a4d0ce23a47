"""A person's data taken out of the rows of their tasks: what is left are ids, statuses and digests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import erased_json, erased_text, is_erased
from domain.quotes import Quotes
from storage import tables
from storage.approval_tables import approval_answers
from storage.schema import metadata

_KEPT_OUT = frozenset({"audit_log", "audit_heads", "role_grants"})
"""The chain holds hashes alone, and is never changed; a grant names who works here, and stays as it was made."""

_VERDICT_KEPT = (
    *("hop", "effect", "policy_ids", "policy_hash", "input_hash", "approval_id"),
    *("obligations", "overridable_by", "overridden", "downgrade_to", "redact", "modified_by", "modified"),
)
_SHOWN_KEPT = ("options", "action", "policy_hash", "graph_version", "context_hash", "asks")
_FIND = """
WITH RECURSIVE theirs AS (
  SELECT id FROM tasks t WHERE NOT t.payload ? 'erased' AND (t.case_key = :subject {fields})
  UNION SELECT t.id FROM tasks t JOIN theirs ON t.forked_from = theirs.id
)
SELECT t.* FROM tasks t JOIN theirs USING (id) WHERE NOT t.payload ? 'erased' ORDER BY t.created_at, t.id
"""


async def find_tasks(
    connection: AsyncConnection, subject: str, fields: Mapping[str, str], *, lock: bool = False
) -> list[dict[str, Any]]:
    """The tasks whose subject field (by task type) or case key is this, and their forks."""
    clauses, values = "", {"subject": subject}
    for number, (name, field) in enumerate(sorted(fields.items())):
        clauses += f" OR (t.task_type = :type{number} AND t.payload ->> :field{number} = :subject)"
        values |= {f"type{number}": name, f"field{number}": field}
    statement = text(_FIND.format(fields=clauses) + (" FOR UPDATE OF t" if lock else ""))
    return [dict(row) for row in (await connection.execute(statement, values)).mappings()]


@dataclass(frozen=True)
class Column:
    """One column of a task's rows, and what is left of it."""

    table: Table
    name: str
    left: Callable[[Any], Any]


def columns(quotes: Quotes) -> Sequence[Column]:
    """Every column that may hold something of the person."""

    def blank(value: Any) -> Any:
        return erased_json(value)

    def scrubbed(value: Any) -> Any:
        return erased_json(value, quotes.blanked(value))

    def some(*names: str) -> Callable[[Any], Any]:
        return lambda value: erased_json(value, {name: value[name] for name in names if name in value})

    def told(value: dict[str, Any]) -> Any:
        kept = quotes.taken_out({name: one for name, one in value.items() if name not in _TOLD})
        return value if kept == value else erased_json(value, kept)

    return (
        Column(tables.subtasks, "reason", erased_text),
        Column(tables.snapshots, "contexts", lambda _: []),
        Column(tables.proposals, "body", scrubbed),
        Column(tables.telemetry, "error", erased_text),
        Column(tables.decisions, "body", scrubbed),
        Column(tables.verdicts, "body", some(*_VERDICT_KEPT)),
        Column(tables.approvals, "shown", some(*_SHOWN_KEPT)),
        Column(tables.approvals, "reason", erased_text),
        Column(approval_answers, "arguments", blank),
        Column(approval_answers, "reason", erased_text),
        Column(tables.actions, "request", blank),
        Column(tables.actions, "response", blank),
        Column(tables.actions, "error", erased_text),
        Column(tables.records, "arguments", blank),
        Column(tables.memories, "text", erased_text),
        Column(tables.memories, "data", some("action", "outcome", "right", "undone")),
        Column(tables.events, "data", told),
    )


_TOLD = frozenset({"denied", "reason", "reasons", "error", "struck", "because", "why", "note"})


async def erase_rows(connection: AsyncConnection, task_ids: Sequence[str], quotes: Quotes) -> dict[str, int]:
    """Blank the tasks' rows; column -> how many rows changed."""
    found: dict[str, int] = {}
    for column in columns(quotes):
        changed = await _rewrite(connection, column, task_ids)
        if changed:
            found[f"{column.table.name}.{column.name}"] = changed
    await connection.execute(
        text("UPDATE memories SET known_at = now() WHERE task_id = ANY(:ids) AND known_at IS NOT NULL"),
        {"ids": list(task_ids)},
    )
    return found


async def _rewrite(connection: AsyncConnection, column: Column, task_ids: Sequence[str]) -> int:
    table, cell = column.table, column.table.c[column.name]
    keys = list(table.primary_key.columns)
    rows = (await connection.execute(select(*keys, cell).where(table.c.task_id.in_(task_ids), cell.is_not(None)))).all()
    values = []
    for row in rows:
        was = row[-1]
        left = was if is_erased(was) else column.left(was)
        if left != was:
            values.append({f"k_{key.name}": row[at] for at, key in enumerate(keys)} | {"left": left})
    if values:
        where = [key == bindparam(f"k_{key.name}") for key in keys]
        await connection.execute(update(table).where(*where).values({cell: bindparam("left", type_=cell.type)}), values)
    return len(values)


async def erase_task(connection: AsyncConnection, row: Mapping[str, Any]) -> None:
    """The task's own row; its keys too, which were made from the case's."""
    summary = row["summary"]
    kept = {name: summary[name] for name in ("status", "answer") if name in summary} if summary else {}
    await connection.execute(
        update(tables.tasks)
        .where(tables.tasks.c.id == row["id"])
        .values(
            payload=erased_json(row["payload"]),
            summary=None if summary is None else erased_json(summary, kept),
            reason=None if row["reason"] is None else erased_text(row["reason"]),
            case_key=None if row["case_key"] is None else f"erased:{row['id']}",
            idempotency_key=None if row["idempotency_key"] is None else f"erased:{row['id']}",
        )
    )


async def erase_recalled(connection: AsyncConnection, task_ids: Sequence[str]) -> int:
    """The tasks' episodes where other tasks' panels saw them; how many snapshots changed."""
    found = await connection.execute(select(tables.memories.c.id).where(tables.memories.c.task_id.in_(task_ids)))
    ids = set(found.scalars())
    if not ids:
        return 0
    table = tables.snapshots
    # Only snapshots that name one of the episodes are read.
    named = text("EXISTS (SELECT FROM unnest(CAST(:ids AS text[])) one WHERE position(one IN contexts::text) > 0)")
    rows = (await connection.execute(select(table).where(named), {"ids": sorted(ids)})).mappings().all()
    changed = 0
    for row in rows:
        left = [
            {**seen, "episodes": [_forgotten(one) if one["id"] in ids else one for one in seen["episodes"]]}
            for seen in row["contexts"]
        ]
        if left != row["contexts"]:
            changed += 1
            here = [table.c[name] == row[name] for name in ("task_id", "subtask_id", "round")]
            await connection.execute(update(table).where(*here).values(contexts=left))
    return changed


def _forgotten(episode: Mapping[str, Any]) -> dict[str, Any]:
    # How it turned out is nobody's data, and what the explanation says of it.
    return {**episode, "text": "", "erased": True}


async def sweep(connection: AsyncConnection, quotes: Quotes) -> dict[str, int]:
    """What quotes the person in any other row; column -> how many rows changed."""
    if not quotes.strings:
        return {}
    changed: dict[str, int] = {}
    for table in metadata.sorted_tables:
        if table.name in _KEPT_OUT:
            continue
        for cell in table.columns:
            if cell.primary_key or cell.foreign_keys or not _holds_text(cell.type):
                continue
            number = await _sweep_column(connection, table.name, cell.name, isinstance(cell.type, JSONB), quotes)
            if number:
                changed[f"{table.name}.{cell.name}"] = number
    return changed


def _holds_text(kind: Any) -> bool:
    return isinstance(kind, JSONB) or kind.__class__.__name__ == "Text"


async def _sweep_column(connection: AsyncConnection, table: str, name: str, is_json: bool, quotes: Quotes) -> int:
    looked = f'"{name}"::text'
    statement = text(
        f'SELECT ctid::text AS at, "{name}" AS was FROM "{table}" WHERE EXISTS '
        f"(SELECT FROM unnest(CAST(:quotes AS text[])) one WHERE position(one IN {looked}) > 0) FOR UPDATE"
    )
    rows = (await connection.execute(statement, {"quotes": list(quotes.variants())})).all()
    kind = "jsonb" if is_json else "text"
    put = text(f'UPDATE "{table}" SET "{name}" = CAST(:left AS {kind}) WHERE ctid = CAST(:at AS tid)')
    for row in rows:
        await connection.execute(put, {"at": row.at, "left": quotes.left_of(row.was, is_json)})
    return len(rows)


async def erased_memories(connection: AsyncConnection, task_ids: Iterable[str]) -> list[tuple[str, str, str]]:
    """Id, kind and task type of the tasks' memories."""
    columns = (tables.memories.c.id, tables.memories.c.kind, tables.memories.c.task_type)
    found = await connection.execute(select(*columns).where(tables.memories.c.task_id.in_(list(task_ids))))
    return [(row[0], row[1], row[2]) for row in found]
