"""A person's data taken out of the rows of their tasks: what is left are ids, statuses and digests."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import erased_json, erased_text, kept_hash, unmarked
from domain.erasures import Erasures
from domain.quotes import Quotes, blanked
from storage import tables
from storage.event_data import KEPT
from storage.personal import PLACES, Place
from storage.repositories.erasing import Change, Row, cells, change_of, erasures_of, row_name, task_column

_FIND = """
WITH RECURSIVE theirs AS (
  SELECT id FROM tasks t WHERE NOT t.payload ? 'erased' AND (t.case_key = :subject {fields})
  UNION SELECT t.id FROM tasks t JOIN theirs ON t.forked_from = theirs.id
)
SELECT t.* FROM tasks t JOIN theirs USING (id) WHERE NOT t.payload ? 'erased' ORDER BY t.id
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


async def own_changes(connection: AsyncConnection, task_ids: Sequence[str], quotes: Quotes) -> list[Change]:
    """Everything in the tasks' own rows that is not known to be nobody's, and the keys made from the case's."""
    if not task_ids:
        return []
    earlier = await erasures_of(connection, task_ids)
    found: list[Change] = []
    for place in PLACES:
        of_task = task_column(place.table)
        if of_task is None:
            continue
        query = cells(place).where(of_task.in_(task_ids)).with_for_update()
        for row in (await connection.execute(query)).mappings():
            left = _left(place, row, quotes, earlier[row["task"]])
            if left != row["was"]:
                found.append(change_of(place.table, place.column, row, left))
    for name in ("case_key", "idempotency_key"):
        query = cells(Place(tables.tasks, name)).where(tables.tasks.c.id.in_(task_ids))
        found += [
            change_of(tables.tasks, name, row, f"erased:{row['task']}")
            for row in (await connection.execute(query)).mappings()
        ]
    return found


def _left(place: Place, row: Row, quotes: Quotes, earlier: Erasures) -> Any:
    """What stays in the cell; its hash is that of what once stood there, also where it was swept before."""
    was = row["was"]
    marked = earlier.left(place.table.name, row_name(place.table, row), place.column, was)
    if isinstance(was, str):
        return was if marked or was in place.constant else erased_text(was)
    if isinstance(was, list):
        return []
    value = unmarked(was) if marked else was
    kept = _kept(place, row, value, quotes)
    if place.table is tables.events and kept == value:
        return was
    return erased_json(value, kept, hashed=kept_hash(was) if marked else None)


def _kept(place: Place, row: Row, value: Mapping[str, Any], quotes: Quotes) -> dict[str, Any]:
    if place.said is not None:
        found: dict[str, Any] = quotes.taken_out(blanked(value, place.said))
        return found
    names: Iterable[str] = place.kept
    if place.table is tables.events:
        names = KEPT.get(row["n_event"], ())
    return {name: value[name] for name in names if name in value}


async def erased_memories(connection: AsyncConnection, changes: Iterable[Change]) -> list[tuple[str, str, str]]:
    """Id, kind and task type of the memories that are blanked."""
    ids = {change.where["id"] for change in changes if change.table is tables.memories}
    columns = (tables.memories.c.id, tables.memories.c.kind, tables.memories.c.task_type)
    found = await connection.execute(select(*columns).where(tables.memories.c.id.in_(ids)))
    return [(row[0], row[1], row[2]) for row in found]
