"""The form of a file of evidence: what is not exactly so is no evidence."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, create_model, field_validator
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Integer, Table, Text

from domain.anchor import Hash, Inclusion, Int64
from domain.anchor import Text as Words
from domain.audit import STATED, Entry
from domain.audit_found import Found
from domain.errors import InputError
from domain.merkle import Head
from domain.model import Frozen
from storage import tables
from storage.repositories.chains import spoken_columns
from storage.schema import metadata

FORMAT = "parley-evidence/1"
_ROWS = tuple(dict.fromkeys(how.table for how in STATED.values() if how.table != "tasks"))
_TIME_LONGEST = 40


def _moment(given: Any) -> datetime:
    """A time with its zone, in UTC."""
    if not isinstance(given, str) or len(given) > _TIME_LONGEST:
        raise ValueError("it is no time: give one as 2026-05-01T12:00:00.123456+00:00")
    try:
        at = datetime.fromisoformat(given)
        if at.tzinfo is None:
            raise ValueError("the time has no zone")
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


Moment = Annotated[datetime, BeforeValidator(_moment)]


class EntryLine(Frozen):
    """An entry of the chain."""

    task_id: Words
    seq: Int64
    at: Moment
    event: Words
    key: Words
    actor: Words
    fence: Int64
    body_hash: Hash
    previous: Hash
    hash: Hash
    body: dict[str, Any] | None
    """Checked for its form, and kept as it stands: the entry's hash is over it."""

    @field_validator("body")
    @classmethod
    def _is_body(cls, body: dict[str, Any] | None) -> dict[str, Any] | None:
        Body.model_validate(body or {})
        return body

    def entry(self) -> Entry:
        """As it is checked."""
        hashes = {name: bytes.fromhex(getattr(self, name)) for name in ("body_hash", "previous", "hash")}
        return Entry(**{name: getattr(self, name) for name in Entry._fields} | hashes)


class Body(Frozen):
    """What an entry says beside its event."""

    subtask: Words | None = None
    """The event's."""
    rows: dict[str, dict[str, Hash]] = Field(default_factory=dict)
    """By kind and the row's key: digests."""
    erased: dict[str, dict[str, dict[str, tuple[Hash, Hash]]]] = Field(default_factory=dict)
    """By table, row and column, what an erasure blanked: the hashes of what stood there and of what was left."""


class EventLine(Frozen):
    """An event."""

    task_id: Words
    key: Words
    event: Words
    subtask_id: Words | None
    fence: Int64
    data: Any
    at: Moment


class Evidence(Frozen):
    """A file of evidence."""

    format: Literal["parley-evidence/1"]
    task_id: Words
    task: Mapping[str, Any]
    """The task's row."""
    plan: Any
    """As the task's row has it."""
    chain: tuple[EntryLine, ...]
    head: tuple[Int64, Hash] | None
    """Where the chain ends."""
    events: tuple[EventLine, ...]
    rows: Mapping[str, tuple[Mapping[str, Any], ...]]
    """By table."""
    anchor: Inclusion | None
    """That the head is in an anchor."""

    @field_validator("task")
    @classmethod
    def _is_task(cls, task: Mapping[str, Any]) -> Mapping[str, Any]:
        return _row(tables.tasks, task)

    @field_validator("rows")
    @classmethod
    def _are_rows(cls, rows: Mapping[str, Any]) -> Mapping[str, Any]:
        unknown = sorted(rows.keys() - set(_ROWS))
        if unknown:
            raise ValueError(f"there is no table {unknown[0][:40]!r} in evidence")
        return {name: tuple(_row(metadata.tables[name], row) for row in some) for name, some in rows.items()}

    @field_validator("events")
    @classmethod
    def _are_events(cls, events: tuple[EventLine, ...]) -> tuple[EventLine, ...]:
        if len({event.key for event in events}) < len(events):
            raise ValueError("two events have the same key")
        return events

    def found(self) -> Found:
        """As it is checked."""
        return Found(
            task_id=self.task_id,
            chain=[line.entry() for line in self.chain],
            head=Head(self.task_id, self.head[0], bytes.fromhex(self.head[1])) if self.head else None,
            events={event.key: dict(event) for event in self.events},
            rows=self.rows,
            task=self.task,
        )

    def places_of_others(self) -> Iterator[str]:
        """What is not of this task."""
        if self.task["id"] != self.task_id:
            yield "the task's row"
        yield from (f"entry {line.seq}" for line in self.chain if line.task_id != self.task_id)
        yield from (f"the event {event.key}" for event in self.events if event.task_id != self.task_id)
        for table, some in self.rows.items():
            yield from (f"a row of {table}" for row in some if row["task_id"] != self.task_id)
        if self.anchor is not None and self.anchor.head[0] != self.task_id:
            yield "the anchor's head"


def as_evidence(value: Any) -> Evidence:
    """The evidence that this plain JSON is. Raises InputError that says where it is none, and what is there."""
    try:
        return Evidence.model_validate(value)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(one)[:40] for one in first["loc"]) or "(root)"
        raise InputError(f"at {where}: {first['msg']}") from None


def _row(table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its times. Columns that checking does not need may be missing: older releases have fewer."""
    try:
        row = _model(table).model_validate(given)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        column = ".".join(str(one)[:40] for one in first["loc"])
        raise ValueError(f"{table.name}.{column}: {first['msg']}") from None
    return {name: getattr(row, name) for name in row.model_fields_set}


@lru_cache(maxsize=32)
def _model(table: Table) -> type[Frozen]:
    needed = spoken_columns(table.name)
    fields: Any = {one.name: (_kind(one), ... if one.name in needed else None) for one in table.columns}
    return create_model(table.name, __base__=Frozen, **fields)


_KINDS: tuple[tuple[type[Any], Any], ...] = (
    (BigInteger, Int64),
    (Integer, Int64),
    (Boolean, Annotated[bool, Field(strict=True)]),
    (Double, Annotated[float, Field(strict=True)]),
    (DateTime, Moment),
    (Text, Words),
)


def _kind(column: Column[Any]) -> Any:
    """The Python type of a column; of JSON whatever is there."""
    kind = next((one for sql, one in _KINDS if isinstance(column.type, sql)), Any)
    return kind | None if column.nullable and kind is not Any else kind
