"""Rows of several tables inserted by one statement: a stage's records cost one exchange with Postgres."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.canonical import canonical_json

Row = Mapping[str, Any]
Shape = tuple[tuple[Table, tuple[str, ...], int], ...]
"""For each table: its columns, and how many rows it gets."""
_APPEND = (
    "SELECT parley_audit_append(%(task_id)s, %(fence)s, %(actor)s, %(entries)s::jsonb, ARRAY(SELECT key FROM {events}))"
)


class Encoded(str):
    """Canonical JSON, written out already."""

    __slots__ = ()


class Append(NamedTuple):
    """A call that appends to a task's audit chain those of its entries whose event is written by the same statement."""

    task_id: str
    fence: int
    actor: str
    entries: str


async def insert_all(
    connection: AsyncConnection, rows: Mapping[Table, Sequence[Row]], append: Append | None = None
) -> None:
    """Insert them all; a row that stands already is kept as it is. The rows of one table have the same columns.

    With `append` the events among them, the last table, are appended to their task's audit chain.
    """
    shape = tuple((table, tuple(some[0]), len(some)) for table, some in rows.items() if some)
    if not shape:
        return
    values: dict[str, Any] = {}
    for number, (table, columns, _) in enumerate(shape):
        plain = json_columns(table)
        for at, row in enumerate(rows[table]):
            for place, name in enumerate(columns):
                value = row[name]
                plainly = name in plain and not isinstance(value, Encoded)
                values[f"p{number}_{at}_{place}"] = canonical_json(value) if plainly else value
    if append is not None:
        values.update(append._asdict())
    await connection.exec_driver_sql(_statement(shape, append is not None), values)


@lru_cache(maxsize=512)
def _statement(shape: Shape, appending: bool) -> str:
    """One INSERT for each table, all but the last as a WITH clause; appending comes behind the events, the last."""
    inserts = [_insert(number, *part) for number, part in enumerate(shape)]
    if appending:
        inserts[-1] += " RETURNING key"
        inserts.append(_APPEND.format(events=f"w{len(shape) - 1}"))
    *before, last = inserts
    clauses = ", ".join(f"w{number} AS ({one})" for number, one in enumerate(before))
    return f"WITH {clauses} {last}" if clauses else last


def _insert(number: int, table: Table, columns: tuple[str, ...], count: int) -> str:
    plain = json_columns(table)
    casts = ["::jsonb" if name in plain else "" for name in columns]
    values = ", ".join(
        "(" + ", ".join(f"%(p{number}_{at}_{place})s{cast}" for place, cast in enumerate(casts)) + ")"
        for at in range(count)
    )
    names = ", ".join(f'"{name}"' for name in columns)
    return f'INSERT INTO "{table.name}" ({names}) VALUES {values} ON CONFLICT DO NOTHING'


@lru_cache(maxsize=64)
def json_columns(table: Table) -> frozenset[str]:
    """The names of the table's JSON columns."""
    return frozenset(column.name for column in table.columns if isinstance(column.type, JSONB))
