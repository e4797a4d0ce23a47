"""Reading audit chains, with what they speak for."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import AT_THE_END, ROLES_CHAIN, STATED, TIMES, Entry
from domain.audit_found import ANSWERED, Found
from domain.canonical import canonical_json
from domain.merkle import Head
from storage.repositories.roles import role_events

AT_ONCE = 200
"""So many tasks are held in memory."""

_TABLES = tuple(dict.fromkeys(how.table for how in STATED.values() if how.table != "tasks"))
_IDS = text(
    "SELECT id FROM ((SELECT id FROM tasks WHERE id > :after ORDER BY id LIMIT :limit) "
    "UNION (SELECT task_id FROM audit_heads WHERE task_id > :after ORDER BY task_id LIMIT :limit) "
    "UNION (SELECT DISTINCT task_id FROM audit_log WHERE task_id > :after ORDER BY task_id LIMIT :limit) "
    f"UNION (SELECT '{ROLES_CHAIN}' WHERE '{ROLES_CHAIN}' > :after AND EXISTS (SELECT FROM role_grants))) found (id) "
    "ORDER BY id LIMIT :limit"
)
_CHAIN = text(f"SELECT {', '.join(Entry._fields)} FROM audit_log WHERE task_id = ANY(:ids) ORDER BY task_id, seq")
_HEADS = text("SELECT task_id, seq, hash FROM audit_heads WHERE task_id = ANY(:ids)")
_ALL_HEADS = text("SELECT task_id, seq, hash FROM audit_heads")
_EVENTS = text(
    "SELECT task_id, key, event, subtask_id, fence, data, at FROM events WHERE task_id = ANY(:ids) ORDER BY seq"
)
_LINKS = text(
    "SELECT l.task_id, l.seq, l.hash FROM audit_log l JOIN jsonb_to_recordset(CAST(:wanted AS jsonb)) "
    "AS w(task_id text, seq bigint) USING (task_id, seq)"
)
_OTHER = {"tasks": ("id", "payload"), "memories": ("known_at",)}


def spoken_columns(table: str) -> tuple[str, ...]:
    """The columns of the table that checking needs."""
    found = ["task_id"] if table != "tasks" else []
    for kind, how in STATED.items():
        if how.table == table:
            found += [*how.key, *how.plain, *how.hashed, *([TIMES[kind]] if kind in TIMES else [])]
    return tuple(dict.fromkeys([*found, *_OTHER.get(table, ())]))


_TASKS = text(f"SELECT {', '.join(spoken_columns('tasks'))} FROM tasks WHERE id = ANY(:ids)")
_ROWS = {
    table: text(f'SELECT {", ".join(spoken_columns(table))} FROM "{table}" WHERE task_id = ANY(:ids)')
    for table in _TABLES
}
_WHOLE = {table: text(f'SELECT * FROM "{table}" WHERE task_id = ANY(:ids)') for table in _TABLES}


async def task_ids(connection: AsyncConnection) -> AsyncIterator[list[str]]:
    """The ids of everything that has a row, a chain or a head, some at once."""
    after = ""
    while found := list((await connection.execute(_IDS, {"after": after, "limit": AT_ONCE})).scalars()):
        yield found
        after = found[-1]


async def load_found(connection: AsyncConnection, ids: Sequence[str], *, whole: bool = False) -> list[Found]:
    """These tasks, each with its chain and all that it speaks for; `whole`: every column, for a file of evidence."""
    given = {"ids": list(ids)}
    chains: dict[str, list[Entry]] = defaultdict(list)
    for row in await connection.execute(_CHAIN, given):
        chains[row[0]].append(Entry(*row))
    heads = {row[0]: Head(*row) for row in await connection.execute(_HEADS, given)}
    told: dict[str, dict[str, Any]] = defaultdict(dict)
    for event in (await connection.execute(_EVENTS, given)).mappings():
        told[event["task_id"]][event["key"]] = event
    if ROLES_CHAIN in ids:
        told[ROLES_CHAIN] = {event["key"]: event for event in await role_events(connection)}
    rows: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for table, query in (_WHOLE if whole else _ROWS).items():
        for stated in (await connection.execute(query, given)).mappings():
            rows[stated["task_id"]][table].append(stated)
    query = text("SELECT * FROM tasks WHERE id = ANY(:ids)") if whole else _TASKS
    tasks = {task["id"]: dict(task) for task in (await connection.execute(query, given)).mappings()}
    return [Found(one, chains[one], heads.get(one), told[one], rows[one], tasks.get(one)) for one in ids]


_ACTED = "status IN ('done', 'failed', 'refused', 'unknown')"
# By their actions' keys: records are not kept by task.
_RECORDED = "idempotency_key IN (SELECT idempotency_key FROM actions WHERE task_id = :id)"
_ENDED = {
    "actions": (f"task_id = :id AND {_ACTED}", ("actions", "acted")),
    "subtasks": ("task_id = :id AND ended_at IS NOT NULL", ("ends", "spans")),
    "records": (f"task_id = :id AND {_RECORDED}", ("records", "kept")),
    "tasks": ("id = :id", ("ended",)),
}
"""By table which rows have ended, and the kinds that speak of them."""
_ENDS = {
    table: text(f"SELECT {', '.join(spoken_columns(table))} FROM {table} WHERE {ended}")
    for table, (ended, _) in _ENDED.items()
}


async def ended_rows(connection: AsyncConnection, task_id: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The task itself, its actions and subtasks that have ended, and its records: nothing changes them any more."""
    return [
        (kind, dict(row))
        for table, query in _ENDS.items()
        for row in (await connection.execute(query, {"id": task_id})).mappings()
        for kind in _ENDED[table][1]
    ]


async def stated_rows(connection: AsyncConnection, task_id: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The rows that a task has now, each with the kind of statement that is made about it.

    How it and its subtasks end is told when it ends.
    """
    found: list[tuple[str, Mapping[str, Any]]] = []
    for kind, how in STATED.items():
        if kind in AT_THE_END:
            continue
        query = _TASKS if how.table == "tasks" else _ROWS[how.table]
        rows = [dict(row) for row in (await connection.execute(query, {"ids": [task_id]})).mappings()]
        found += [(kind, row) for row in rows if _is_there(kind, row)]
    return found


def _is_there(kind: str, row: Mapping[str, Any]) -> bool:
    """Whether there is something to speak of yet."""
    if kind in ("answers", "decided"):
        return row["status"] in ANSWERED
    return kind != "plans" or row["plan"] is not None


async def all_heads(connection: AsyncConnection) -> list[Head]:
    """The head of every chain, in the order of the tasks' ids."""
    # Sorted here: the database's collation may order otherwise.
    return sorted(Head(*row) for row in await connection.execute(_ALL_HEADS))


async def links_at(connection: AsyncConnection, heads: Iterable[Head]) -> dict[tuple[str, int], bytes]:
    """The hashes of the entries that stand at these heads' places."""
    wanted = canonical_json([{"task_id": head.task_id, "seq": head.seq} for head in heads])
    return {(row[0], row[1]): row[2] for row in await connection.execute(_LINKS, {"wanted": wanted})}
