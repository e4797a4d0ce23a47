"""Taking a person's data out of everything that is kept."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from catalog.load import Catalog
from control_plane.services.erasure_files import erase_from_files, erase_from_prefect, erase_from_prefect_events
from domain.canonical import digest
from domain.errors import InputError, NotFound, StackError
from domain.model import Frozen
from domain.quotes import LEAST, Quotes, strings_of
from domain.settings import Settings
from domain.task import END_STATES
from memory.index import open_index
from orchestration.retention import drop_threads
from storage.audit import write_event
from storage.repositories import erasure
from storage.roles import LEAVE_ROLE


@dataclass(frozen=True)
class Wanted:
    """Whose data, and why."""

    subject: str
    reason: str
    principal: str
    dry_run: bool
    prefect_dsn: str | None = None
    """The database of our own Prefect server; None where another one is used."""


class Erased(Frozen):
    """What was, or in a dry run would be, taken out."""

    tasks: tuple[dict[str, str], ...]
    places: dict[str, int]
    """Place -> how many rows, files or points changed."""
    notes: tuple[str, ...] = ()
    dry_run: bool


async def erase_subject(engine: AsyncEngine, catalog: Catalog, settings: Settings, wanted: Wanted) -> Erased:
    """Erase the subject's tasks, first outside of Postgres: whatever fails, the next call finds them again.

    Raises NotFound, InputError where one of them has not ended, StackError where a part of the stack is away.
    """
    fields = {name: kind.subject_field for name in catalog.names() if (kind := catalog.task_type(name)).subject_field}
    async with engine.connect() as connection:
        rows = await erasure.find_tasks(connection, wanted.subject, fields)
    if not rows:
        raise NotFound(f"no task has {wanted.subject!r} as its subject field or case key, or it was erased already")
    moving = [row["id"] for row in rows if row["status"] not in END_STATES]
    if moving and not wanted.dry_run:
        raise InputError(f"not ended yet: {', '.join(moving)}: cancel them or let them end, then erase")
    quotes = quotes_of(catalog, rows, wanted.subject)
    ids = [row["id"] for row in rows]
    places = await erase_from_prefect(ids, dry_run=wanted.dry_run)
    if wanted.prefect_dsn is not None:
        left = await erase_from_prefect_events(wanted.prefect_dsn, ids, quotes, dry_run=wanted.dry_run)
        places["Prefect events"] = left
    places |= erase_from_files(settings.home, _results(settings), ids, quotes, dry_run=wanted.dry_run)
    async with engine.connect() as connection:
        memories = await erasure.erased_memories(connection, ids)
        places |= await _in_postgres(connection, wanted, rows, quotes, fields)
    notes: tuple[str, ...] = ()
    if not wanted.dry_run:
        notes = await _in_index(settings, memories)
        if wanted.prefect_dsn is None:
            notes += (
                "the Prefect server is not ours: its events keep an artifact's text for as long as it keeps events",
            )
        if not quotes.strings:
            notes += ("no text of the person is long enough to be looked for elsewhere",)
    told = tuple({name: str(row[name]) for name in ("id", "task_type", "status")} for row in rows)
    found = {name: number for name, number in places.items() if number}
    return Erased(tasks=told, places=found, notes=notes, dry_run=wanted.dry_run)


def quotes_of(catalog: Catalog, rows: Sequence[dict[str, Any]], subject: str) -> Quotes:
    """The texts that are looked for outside of the subject's own tasks."""
    found = {subject} if len(subject) >= LEAST else set()
    for row in rows:
        schema = catalog.task_type(row["task_type"]).payload_schema
        found |= strings_of(row["payload"], schema)
    return Quotes(frozenset(found))


def _results(settings: Settings) -> Path:
    kept = os.environ.get("PREFECT_LOCAL_STORAGE_PATH")
    return Path(kept) if kept else settings.home / "prefect" / "storage"


async def _in_postgres(
    connection: AsyncConnection,
    wanted: Wanted,
    rows: Sequence[dict[str, Any]],
    quotes: Quotes,
    fields: dict[str, str],
) -> dict[str, int]:
    """One transaction; a dry run rolls it back."""
    standing = await erasure.find_tasks(connection, wanted.subject, fields, lock=True)
    ids = [row["id"] for row in rows]
    if {row["id"] for row in standing} != {*ids}:
        raise InputError(f"the tasks of {wanted.subject!r} changed meanwhile: erase again")
    places: Counter[str] = Counter()
    places.update(await erasure.erase_rows(connection, ids, quotes))
    places["snapshots of other tasks"] = await erasure.erase_recalled(connection, ids)
    for row in standing:
        await erasure.erase_task(connection, row)
    places["tasks"] = len(ids)
    places.update(await erasure.sweep(connection, quotes))
    places["checkpoints"] = await drop_threads(connection, ids)
    data = {"by": wanted.principal, "reason": quotes.out_of(wanted.reason)}
    for row in standing:
        data_of = {**data, "erased_tasks": len(ids)}
        await write_event(
            connection, row["id"], f"erase:{digest([row['id'], wanted.reason])[:16]}", "task.erased", data_of,
            fence=row["fence"], actor=wanted.principal,
        )  # fmt: skip
    if wanted.dry_run:
        await connection.rollback()
    else:
        await connection.commit()
        await _vacuum(connection)
    return dict(places)


async def _vacuum(connection: AsyncConnection) -> None:
    """Free what the old rows took, so that it is written over; Postgres does it by itself where we may not."""
    await connection.execution_options(isolation_level="AUTOCOMMIT")
    await connection.execute(text(LEAVE_ROLE))
    try:
        for name in ("tasks", "snapshots", "proposals", "decisions", "approvals", "memories", "events", "verdicts"):
            await connection.execute(text(f'VACUUM "{name}"'))
    finally:
        # It is the owner's now: nobody else is given it.
        await connection.invalidate()


async def _in_index(settings: Settings, memories: Sequence[tuple[str, str, str]]) -> tuple[str, ...]:
    """Take the points out; where a worker holds the folder it does so itself, within seconds."""
    if not memories:
        return ()
    folder = settings.home / "qdrant"
    if settings.qdrant_url is None and not folder.exists():
        return ()
    try:
        index = open_index(settings.qdrant_url, None if settings.qdrant_url else folder)
    except StackError:
        return ("the memory index is in a worker's hands: it takes the points out within seconds",)
    try:
        await index.remove(memories)
    finally:
        await index.close()
    return ()
