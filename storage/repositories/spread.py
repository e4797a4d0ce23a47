"""What other rows say of a person: found by the texts that name them, and blanked where that is nobody else's word.

Only free text is looked at, the columns and names of `storage.personal`. A text that another subject's payload holds
as well is that subject's own in their task. What the run of a task may read again stays until it has ended.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, Text, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import erased_json, erased_text, kept_hash, unmarked
from domain.erasures import Erasures
from domain.quotes import Quotes, leaves
from domain.task import END_STATES
from storage import tables
from storage.event_data import KEPT
from storage.personal import PLACES, Place
from storage.repositories.erasing import Change, Row, cells, change_of, erasures_of, row_name, task_column


class Spread(NamedTuple):
    """Where the person is quoted."""

    changes: list[Change]
    held: list[Change]
    """Those that a run of a task that has not ended may read: they wait."""
    named_by: int
    """Tasks of other subjects whose own payload names the person: that is their word."""


class Wanted(NamedTuple):
    """What is looked for."""

    quotes: Quotes
    own: Sequence[str]
    """The person's tasks."""
    memories: Collection[str]
    """The person's episodes."""


async def find_spread(connection: AsyncConnection, wanted: Wanted, *, lock: bool = False) -> Spread:
    """Every cell that would change. With `lock`, its row is locked; the caller has locked the tasks."""
    changes: list[Change] = []
    held: list[Change] = []
    if wanted.quotes or wanted.memories:
        found = [
            (place, row) for place in PLACES if not place.own for row in await _rows(connection, place, wanted, lock)
        ]
        others = await _Others.of(connection, {row["task"] for _, row in found if row.get("task")}, wanted.quotes)
        for place, row in found:
            left = _left(place, row, wanted, others)
            if left != row["was"]:
                waits = place.read and others.goes_on(row.get("task"))
                (held if waits else changes).append(change_of(place.table, place.column, row, left))
        changes += await _marks(connection, changes)
    return Spread(changes, held, await _naming(connection, wanted))


async def _rows(connection: AsyncConnection, place: Place, wanted: Wanted, lock: bool) -> Sequence[Row]:
    """The rows in which a text may stand; whether it does as whole words is seen afterwards."""
    of_task = task_column(place.table)
    query = cells(place).where(_holds(place, [*wanted.quotes.variants(), *_ids(place, wanted)]))
    if of_task is not None:
        query = query.where(or_(of_task.is_(None), of_task.not_in(wanted.own)))
    if lock:
        query = query.with_for_update()
    return (await connection.execute(query)).mappings().all()


def _ids(place: Place, wanted: Wanted) -> Collection[str]:
    return wanted.memories if place.table is tables.snapshots else ()


def _holds(place: Place, texts: Sequence[str]) -> Any:
    return _any_in(cast(place.table.c[place.column], Text), texts)


def _any_in(cell: Any, texts: Sequence[str]) -> Any:
    given = func.unnest(cast(literal(list(texts), ARRAY(Text)), ARRAY(Text)))
    one = given.table_valued("text", name="one").render_derived()
    return select(literal(1)).select_from(one).where(func.strpos(cell, one.c.text) > 0).exists()


class _Others:
    """The tasks that quote the person: whether they go on, what is their own, what earlier erasures left in them."""

    def __init__(self, rows: Mapping[str, Any], quotes: Quotes, earlier: Mapping[str, Erasures]) -> None:
        self._rows, self._quotes, self._earlier = rows, quotes, earlier
        self._without: dict[frozenset[str], Quotes] = {frozenset(): quotes}

    @classmethod
    async def of(cls, connection: AsyncConnection, ids: Collection[str], quotes: Quotes) -> "_Others":
        """Read them."""
        columns = (tables.tasks.c.id, tables.tasks.c.status, tables.tasks.c.payload)
        rows = (await connection.execute(select(*columns).where(tables.tasks.c.id.in_(ids)))).all()
        return cls({row.id: row for row in rows}, quotes, await erasures_of(connection, ids))

    def goes_on(self, task_id: str | None) -> bool:
        """Whether it has not ended."""
        row = self._rows.get(task_id or "")
        return row is not None and row.status not in END_STATES

    def quotes(self, task_id: str | None) -> Quotes:
        """The texts that are the person's in this task."""
        row = self._rows.get(task_id or "")
        theirs = frozenset(leaves(row.payload)) & self._quotes.strings if row is not None else frozenset[str]()
        return self._without.setdefault(theirs, self._quotes.without(theirs))

    def marked(self, place: Place, row: Row) -> bool:
        """Whether an erasure left what stands there."""
        earlier = self._earlier.get(row.get("task") or "")
        name = row_name(place.table, row)
        return earlier is not None and earlier.left(place.table.name, name, place.column, row["was"])


def _left(place: Place, row: Row, wanted: Wanted, others: _Others) -> Any:
    was, of_task = row["was"], row.get("task")
    quotes = others.quotes(of_task)
    if of_task is None:
        # No chain speaks for it.
        return quotes.swept(was, place.free)
    if isinstance(was, str):
        return erased_text(was) if was not in place.constant and quotes.quoted_in(was) else was
    if isinstance(was, list):
        return quotes.swept([_forgotten(seen, wanted.memories) for seen in was], place.free)
    marked = others.marked(place, row)
    value = unmarked(was) if marked else was
    free = place.free
    if place.table is tables.events:
        free = frozenset(value) - {*KEPT.get(row["n_event"], ())}
    left = quotes.swept(value, free)
    return was if left == value else erased_json(value, left, hashed=kept_hash(was) if marked else None)


def _forgotten(seen: Any, memories: Collection[str]) -> Any:
    """A persona's context without the person's episodes. How they turned out is nobody's, and what a decision's
    explanation says of them.
    """
    if not any(one["id"] in memories for one in seen["episodes"]):
        return seen
    told = [{**one, "text": "", "erased": True} if one["id"] in memories else one for one in seen["episodes"]]
    return {**seen, "episodes": told}


async def _marks(connection: AsyncConnection, changes: Sequence[Change]) -> list[Change]:
    """A memory whose text goes says so in its data, and is recalled no more."""
    ids = {change.where["id"] for change in changes if change.table is tables.memories and change.task_id is not None}
    query = cells(Place(tables.memories, "data")).where(tables.memories.c.id.in_(ids))
    rows = (await connection.execute(query)).mappings().all() if ids else ()
    return [
        change_of(tables.memories, "data", row, erased_json(row["was"], row["was"]))
        for row in rows
        if "erased" not in row["was"]
    ]


async def _naming(connection: AsyncConnection, wanted: Wanted) -> int:
    """How many other tasks' payloads name the person within a longer text."""
    query: Select[Any] = select(tables.tasks.c.payload).where(
        tables.tasks.c.id.not_in(wanted.own), _any_in(cast(tables.tasks.c.payload, Text), wanted.quotes.variants())
    )
    payloads = (await connection.execute(query)).scalars() if wanted.quotes else ()
    return sum(any(wanted.quotes.quoted_in(one) for one in leaves(payload)) for payload in payloads)


def in_tasks(changes: Sequence[Change]) -> dict[str, int]:
    """Task -> how many cells."""
    found: dict[str, int] = defaultdict(int)
    for change in changes:
        if change.task_id is not None:
            found[change.task_id] += 1
    return dict(found)
