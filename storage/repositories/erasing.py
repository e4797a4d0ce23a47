"""Blanking cells: what changes in which row, and the entries of the audit chains that name it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Select, Table, and_, bindparam, select, text, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import hash_of
from domain.erasures import EVENT, Erasures
from storage.audit import next_key, write_event
from storage.audit_tables import audit_log
from storage.personal import Place
from storage.tables import events, memories, tasks

UNNAMED = frozenset({"case_key", "idempotency_key"})
"""The chain does not speak for them, and a hash of a short key could be guessed."""

Row = RowMapping


@dataclass(frozen=True)
class Change:
    """What becomes of one cell."""

    table: Table
    column: str
    where: Mapping[str, Any]
    """The row's primary key."""
    task_id: str | None
    row: str
    """The row's key within its task, as `domain.audit.row_key` makes it; of an event its own."""
    was: Any
    left: Any


def task_column(table: Table) -> Column[Any] | None:
    """The column that names a row's task; None for a table of no task."""
    return table.c.id if table is tasks else table.c.get("task_id")


def cells(place: Place, *further: Column[Any]) -> Select[Any]:
    """The rows where there is something in the place: their keys, `task` and `was`."""
    table = place.table
    task = task_column(table)
    keys = [column.label(f"k_{column.name}") for column in table.primary_key.columns]
    named = [table.c.key.label("n_key"), table.c.event.label("n_event")] if table is events else []
    of = [] if task is None else [task.label("task")]
    return select(*keys, *named, *of, table.c[place.column].label("was"), *further).where(
        table.c[place.column].is_not(None)
    )


def row_name(table: Table, row: Row) -> str:
    """The row's key within its task."""
    if table is events:
        return str(row["n_key"])
    names = (column.name for column in table.primary_key.columns)
    of_task = task_column(table)
    return "/".join(str(row[f"k_{name}"]) for name in names if of_task is None or name != of_task.name)


def change_of(table: Table, column: str, row: Row, left: Any) -> Change:
    """The change of this row's cell."""
    where = {one.name: row[f"k_{one.name}"] for one in table.primary_key.columns}
    return Change(table, column, where, row.get("task"), row_name(table, row), row["was"], left)


async def erasures_of(connection: AsyncConnection, task_ids: Collection[str]) -> dict[str, Erasures]:
    """What earlier erasures left in these tasks."""
    query = select(audit_log.c.task_id, audit_log.c.seq, audit_log.c.body["erased"])
    query = query.where(audit_log.c.task_id.in_(task_ids), audit_log.c.event == EVENT).order_by(audit_log.c.seq)
    found: dict[str, Erasures] = defaultdict(Erasures)
    for task_id, seq, named in await connection.execute(query):
        found[task_id].add(seq, named)
    return found


async def put(connection: AsyncConnection, changes: Iterable[Change]) -> None:
    """Write what is left."""
    by_place: dict[tuple[Table, str], list[Change]] = defaultdict(list)
    for change in changes:
        by_place[change.table, change.column].append(change)
    for (table, column), some in by_place.items():
        where = and_(*(one == bindparam(f"k_{one.name}") for one in table.primary_key.columns))
        cell = table.c[column]
        values = [{f"k_{name}": key for name, key in one.where.items()} | {"left": one.left} for one in some]
        await connection.execute(update(table).where(where).values({cell: bindparam("left", type_=cell.type)}), values)
    gone = sorted({one.where["id"] for (table, _), some in by_place.items() for one in some if table is memories})
    # A worker that holds the index takes out what became known, erased, since it last looked.
    await connection.execute(
        text("UPDATE memories SET known_at = now() WHERE id = ANY(:ids) AND known_at IS NOT NULL"), {"ids": gone}
    )


async def tell(
    connection: AsyncConnection, changes: Sequence[Change], data: Mapping[str, Any], actor: str, own: Collection[str]
) -> None:
    """One event in each task: its entry names what was blanked, with the hashes of what stood there and what is left.

    The caller has locked the tasks. A task that only quoted the person says in its event which rows did.
    """
    named: dict[str, dict[str, dict[str, dict[str, list[str]]]]] = {one: {} for one in own}
    for change in changes:
        if change.task_id is not None and change.column not in UNNAMED:
            rows = named.setdefault(change.task_id, {}).setdefault(change.table.name, {})
            rows.setdefault(change.row, {})[change.column] = [hash_of(change.was), hash_of(change.left)]
    query = select(tasks.c.id, tasks.c.fence).where(tasks.c.id.in_(named)).order_by(tasks.c.id)
    for task_id, fence in (await connection.execute(query)).all():
        places = {table: sorted(rows) for table, rows in named[task_id].items()}
        told = dict(data) if task_id in own else {**data, "places": places}
        key = await next_key(connection, task_id, EVENT)
        await write_event(
            connection, task_id, key, EVENT, told, fence=fence, actor=actor, erased=named[task_id]
        )  # fmt: skip
