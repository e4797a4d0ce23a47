"""Taking a person's data out of everything that is kept."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from catalog.load import Catalog
from control_plane.services.erasure_files import erase_from_files
from control_plane.services.erasure_prefect import erase_from_own_server, erase_from_prefect
from control_plane.services.reasons import bounded
from control_plane.services.vocabulary import vocabulary
from domain.errors import InputError, NotFound, StackError
from domain.model import Frozen
from domain.quotes import Quotes, is_common, texts_of
from domain.settings import Settings
from domain.task import END_STATES
from memory.index import open_index
from orchestration.retention import drop_threads
from storage.repositories import erasing, erasure, spread
from storage.repositories.erasing import Change
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
    texts: tuple[str, ...] = ()
    """Further texts that name the person."""
    now: bool = False
    """Whether to go on though tasks that have not ended quote the person: what their runs may read stays."""


class Erased(Frozen):
    """What was, or in a dry run would be, taken out."""

    tasks: tuple[dict[str, str], ...]
    places: dict[str, int]
    """Place -> how many cells, files or points changed."""
    held: dict[str, int]
    """Tasks that have not ended -> how many of their cells quote the person still, because their runs may read them."""
    notes: tuple[str, ...] = ()
    dry_run: bool


@dataclass(frozen=True)
class _Person:
    """Who it is about."""

    wanted: Wanted
    fields: Mapping[str, str]
    """Task type -> its subject field."""
    ids: Sequence[str]
    """Their tasks."""
    quotes: Quotes


async def erase_subject(engine: AsyncEngine, catalog: Catalog, settings: Settings, wanted: Wanted) -> Erased:
    """Erase the subject's tasks and what quotes them, first outside of Postgres: whatever fails, the next call finds
    them again.

    Raises NotFound, InputError where one of them, or another that quotes them, has not ended, StackError where a part
    of the stack is away.
    """
    bounded(wanted.reason)
    fields = {name: kind.subject_field for name in catalog.names() if (kind := catalog.task_type(name)).subject_field}
    async with engine.connect() as connection:
        rows = await erasure.find_tasks(connection, wanted.subject, fields)
        moving = [row["id"] for row in rows if row["status"] not in END_STATES]
        if moving and not wanted.dry_run:
            raise InputError(f"not ended yet: {', '.join(moving)}: cancel them or let them end, then erase")
        quotes, common = quotes_of(catalog, rows, wanted)
        if not rows and not quotes:
            raise NotFound(f"{_nobody(wanted)}, and the text is too common to be looked for elsewhere: give --text")
        person = _Person(wanted, fields, [row["id"] for row in rows], quotes)
        found = await spread.find_spread(connection, await _looked_for(connection, person))
    _refuse_held(wanted, found.held)
    places = await _outside(settings, person)
    async with engine.connect() as connection:
        inside, changes = await _in_postgres(connection, person)
        places |= inside
    async with engine.connect() as connection:
        points = await erasure.erased_memories(connection, changes)
    places = {name: number for name, number in places.items() if number}
    if not rows and not places and not found.held:
        raise NotFound(f"{_nobody(wanted)}, and nothing quotes it")
    notes = () if wanted.dry_run else await _in_index(settings, points)
    told = tuple({name: str(row[name]) for name in ("id", "task_type", "status")} for row in rows)
    return Erased(
        tasks=told,
        places=places,
        held=spread.in_tasks(found.held),
        notes=(*notes, *_notes(wanted, common, found.named_by)),
        dry_run=wanted.dry_run,
    )


def _nobody(wanted: Wanted) -> str:
    return f"no task has {wanted.subject!r} as its subject field or case key, or it was erased already"


def quotes_of(catalog: Catalog, rows: Sequence[dict[str, Any]], wanted: Wanted) -> tuple[Quotes, int]:
    """The texts that are looked for outside of the subject's own tasks, and how many are too common for that."""
    found = {wanted.subject, *wanted.texts}
    for row in rows:
        found |= texts_of(row["payload"], catalog.task_type(row["task_type"]).payload_schema)
    words = vocabulary(catalog)
    kept = {one for one in found if not is_common(one, words)}
    return Quotes(frozenset(kept)), len(found - kept)


def _refuse_held(wanted: Wanted, held: Sequence[Change]) -> None:
    """Raise InputError where what quotes the person has to wait: whoever erases later would not know it any more."""
    if held and not wanted.now and not wanted.dry_run:
        tasks = spread.in_tasks(held)
        raise InputError(
            f"{len(held)} places of {len(tasks)} tasks that have not ended quote the person: "
            f"{', '.join(sorted(tasks))}: erase when they have ended, or what can be erased with --now"
        )


def _notes(wanted: Wanted, common: int, named_by: int) -> Iterable[str]:
    if common:
        yield f"{common} texts are too common to be anybody's: they were not looked for elsewhere"
    if named_by:
        yield f"{named_by} other subjects' own payloads name the person: left, that is their word"
    if wanted.prefect_dsn is None and not wanted.dry_run:
        yield "the Prefect server is not ours: its events and its logs of other runs keep what they say"


async def _looked_for(connection: AsyncConnection, person: _Person) -> spread.Wanted:
    own = await connection.execute(text("SELECT id FROM memories WHERE task_id = ANY(:ids)"), {"ids": person.ids})
    return spread.Wanted(person.quotes, person.ids, tuple(own.scalars()))


async def _outside(settings: Settings, person: _Person) -> dict[str, int]:
    """Prefect and files."""
    wanted, quotes, dry_run = person.wanted, person.quotes, person.wanted.dry_run
    places = await erase_from_prefect(person.ids, quotes, dry_run=dry_run)
    if wanted.prefect_dsn is not None:
        places |= await erase_from_own_server(wanted.prefect_dsn, person.ids, quotes, dry_run=dry_run)
    return places | erase_from_files(settings.home, _results(settings), person.ids, quotes, dry_run=dry_run)


def _results(settings: Settings) -> Path:
    kept = os.environ.get("PREFECT_LOCAL_STORAGE_PATH")
    return Path(kept) if kept else settings.home / "prefect" / "storage"


async def _in_postgres(connection: AsyncConnection, person: _Person) -> tuple[dict[str, int], list[Change]]:
    """One transaction; a dry run rolls it back. Returns place -> number, and what changed."""
    wanted, ids = person.wanted, person.ids
    standing = await erasure.find_tasks(connection, wanted.subject, person.fields, lock=True)
    if {row["id"] for row in standing} != {*ids}:
        raise InputError(f"the tasks of {wanted.subject!r} changed meanwhile: erase again")
    looked_for = await _looked_for(connection, person)
    await _lock(connection, (await spread.find_spread(connection, looked_for)).changes)
    own = await erasure.own_changes(connection, ids, person.quotes)
    others = await spread.find_spread(connection, looked_for, lock=True)
    if not wanted.now and not wanted.dry_run:
        _refuse_held(wanted, others.held)
    changes = [*own, *others.changes]
    await erasing.put(connection, changes)
    places = Counter(f"{one.table.name}.{one.column}" for one in own)
    places.update(f"{one.table.name}.{one.column} of others" for one in others.changes)
    places["checkpoints"] = await drop_threads(connection, ids)
    data = {"by": wanted.principal, "reason": person.quotes.out_of(wanted.reason), "erased_tasks": len(ids)}
    await erasing.tell(connection, changes, data, wanted.principal, ids)
    if wanted.dry_run:
        await connection.rollback()
    else:
        await connection.commit()
        await _vacuum(connection, {one.table.name for one in changes})
    return dict(places), changes


async def _lock(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Runs lock a task before its rows, and so do we."""
    ids = sorted(spread.in_tasks(changes))
    await connection.execute(text("SELECT FROM tasks WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"), {"ids": ids})


async def _vacuum(connection: AsyncConnection, names: Collection[str]) -> None:
    """Free what the old rows took, so that it is written over; Postgres does it by itself where we may not."""
    await connection.execution_options(isolation_level="AUTOCOMMIT")
    await connection.execute(text(LEAVE_ROLE))
    try:
        for name in sorted(names):
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
