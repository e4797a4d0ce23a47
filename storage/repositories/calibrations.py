"""Calibrations: which version stands for a subtask's panel, and what became of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.calibration import Calibration, CalibrationStatus
from domain.errors import CalibrationRefused, CalibrationUnreadable, InputError, NotFound
from storage.repositories.calibration_bodies import load_bodies, read_body, validated
from storage.tables import calibrations

_STANDS = frozenset({CalibrationStatus.ACTIVE, CalibrationStatus.ALARMED})

_VERSIONS = (
    "SELECT version, status, created_at, activated_at, ended_at, note FROM calibrations "
    "WHERE task_type = :task_type AND subtask_id = :subtask_id ORDER BY version"
)
_ALL = text(_VERSIONS)
_ALL_LOCKED = text(f"{_VERSIONS} FOR UPDATE")
_RETIRE = text(
    "UPDATE calibrations SET status = 'retired', ended_at = clock_timestamp(), note = COALESCE(:note, note) "
    "WHERE task_type = :task_type AND subtask_id = :subtask_id AND status = ANY(:statuses) RETURNING version"
)
_WITHDRAW = text(
    "UPDATE calibrations SET status = 'retired', ended_at = clock_timestamp(), note = :note "
    "WHERE task_type = :task_type AND subtask_id = :subtask_id AND version = :version"
)
_ACTIVATE = text(
    "UPDATE calibrations SET status = 'active', activated_at = clock_timestamp(), ended_at = NULL, note = :note "
    "WHERE task_type = :task_type AND subtask_id = :subtask_id AND version = :version"
)
_ALARM = text(
    "UPDATE calibrations SET status = 'alarmed', ended_at = clock_timestamp(), note = :note "
    "WHERE task_type = :task_type AND subtask_id = :subtask_id AND version = :version AND status = 'active' "
    "RETURNING version"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A calibration and where it stands."""

    calibration: Calibration
    status: CalibrationStatus
    created_at: datetime
    activated_at: datetime | None
    ended_at: datetime | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A version that stands and does not hold what a calibration must."""

    version: int
    problem: str


@dataclass(frozen=True, slots=True)
class InForce:
    """What a subtask's panel decides by, and what is computed beside it."""

    standing: Standing | None
    """Active, or alarmed since; None before the first activation and after a withdrawal, and where it is unreadable."""
    shadow: Standing | None
    """None where there is none, and where it is unreadable: it decides nothing either way."""
    unreadable: Unreadable | None = None
    """What stands, where it cannot be read."""


async def next_version(connection: AsyncConnection, task_type: str, subtask_id: str) -> int:
    """One more than the highest version."""
    found = await _versions(connection, task_type, subtask_id)
    return found[-1].version + 1 if found else 1


async def store(connection: AsyncConnection, calibration: Calibration) -> None:
    """Keep it as the shadow; an earlier shadow retires. Raises InputError where its version is there already."""
    task_type, subtask_id, version = calibration.task_type, calibration.subtask_id, calibration.version
    found = await _versions(connection, task_type, subtask_id, locked=True)
    if any(row.version >= version for row in found):
        newest = found[-1].version
        raise InputError(
            f"{task_type}/{subtask_id}: calibration {newest} is there already: store this one as {newest + 1}"
        )
    await _retire(connection, task_type, subtask_id, f"calibration {version} took its place", CalibrationStatus.SHADOW)
    row = {
        "task_type": task_type,
        "subtask_id": subtask_id,
        "version": version,
        "status": CalibrationStatus.SHADOW.value,
        "strategy": calibration.strategy,
        "panel": calibration.panel,
        "body": calibration.model_dump(mode="json"),
    }
    await connection.execute(insert(calibrations).values(row))


async def activate(
    connection: AsyncConnection, task_type: str, subtask_id: str, version: int, note: str | None = None
) -> None:
    """Decide by this version from now on; the active one retires. Whether the panel still fits is the caller's check.

    Raises NotFound for an unknown version, InputError for an alarmed one, CalibrationRefused for one that an alarm
    speaks against, since it was made from no later case, and CalibrationUnreadable.
    """
    found = await _versions(connection, task_type, subtask_id, locked=True)
    wanted = _pick(found, task_type, subtask_id, version)
    if wanted.status == CalibrationStatus.ACTIVE:
        return
    if wanted.status == CalibrationStatus.ALARMED:
        raise InputError(
            f"{task_type}/{subtask_id}: calibration {version} has alarmed ({wanted.note}): "
            "calibrate the panel on newer cases and activate that version"
        )
    loaded = (await load_bodies(connection, task_type, subtask_id, [wanted]))[version]
    _check_alarms(found, read_body(loaded))
    await _retire(connection, task_type, subtask_id, f"calibration {version} took its place", CalibrationStatus.ACTIVE)
    values = {"task_type": task_type, "subtask_id": subtask_id, "version": version, "note": note}
    await connection.execute(_ACTIVATE, values)


def _check_alarms(found: Sequence[Row[Any]], wanted: Calibration) -> None:
    """What was learned up to an alarm is what the alarm spoke against, under whatever version."""
    alarmed = [row for row in found if row.status == CalibrationStatus.ALARMED and row.ended_at is not None]
    last = max(alarmed, key=lambda row: row.ended_at, default=None)
    if last is None or wanted.last_case_at > last.ended_at:
        return
    raise CalibrationRefused(
        f"{wanted.task_type}/{wanted.subtask_id}: calibration {wanted.version} was made from cases decided up to "
        f"{wanted.last_case_at:%Y-%m-%d %H:%M} UTC, and calibration {last.version} alarmed at "
        f"{last.ended_at:%Y-%m-%d %H:%M} UTC ({last.note}): calibrate the panel on cases decided since, with "
        f"`parley calibrate {wanted.task_type}`, and activate that version"
    )


async def withdraw(connection: AsyncConnection, task_type: str, subtask_id: str, note: str) -> int:
    """Retire what is active: the panel is back at its cold start. Returns the version.

    Raises NotFound where nothing stands, CalibrationRefused for one that has alarmed: its alarm stays on record.
    """
    found = standing_of(await _versions(connection, task_type, subtask_id, locked=True))
    if found is None:
        raise NotFound(f"{task_type}/{subtask_id} has no calibration in force: there is nothing to withdraw")
    if found.status == CalibrationStatus.ALARMED:
        raise CalibrationRefused(
            f"{task_type}/{subtask_id}: version {found.version} has alarmed and sends every case to people: calibrate "
            "on newer cases and activate that, or take `when_calibrated` out of the task type"
        )
    values = {"task_type": task_type, "subtask_id": subtask_id, "note": note, "version": found.version}
    await connection.execute(_WITHDRAW, values)
    return int(found.version)


async def alarm(connection: AsyncConnection, task_type: str, subtask_id: str, version: int, note: str) -> bool:
    """Mark the active version as alarmed; False where it is not the active one any more."""
    values = {"task_type": task_type, "subtask_id": subtask_id, "version": version, "note": note}
    return (await connection.execute(_ALARM, values)).first() is not None


async def active_and_shadow(connection: AsyncConnection, task_type: str, subtask_id: str) -> InForce:
    """What stands and the shadow: one query without bodies, and one more for bodies this process has not read yet."""
    found = await _versions(connection, task_type, subtask_id)
    if not found:
        return InForce(None, None)
    chosen = (standing_of(found), next((row for row in found if row.status == CalibrationStatus.SHADOW), None))
    bodies = await load_bodies(connection, task_type, subtask_id, [row for row in chosen if row is not None])
    readable = [None if row is None or isinstance(bodies[row.version], str) else row for row in chosen]
    standing, shadow = (None if row is None else _standing(row, bodies[row.version]) for row in readable)
    stands = chosen[0]
    problem = None if stands is None else bodies[stands.version]
    if stands is None or not isinstance(problem, str):
        return InForce(standing, shadow)
    return InForce(None, shadow, Unreadable(stands.version, problem))


async def active(connection: AsyncConnection, task_type: str, subtask_id: str) -> Standing | None:
    """What stands: the active calibration, or the alarmed one that was it. Raises CalibrationUnreadable."""
    found = await active_and_shadow(connection, task_type, subtask_id)
    if found.unreadable is not None:
        raise CalibrationUnreadable(found.unreadable.problem)
    return found.standing


async def shadow(connection: AsyncConnection, task_type: str, subtask_id: str) -> Standing | None:
    """The calibration that is computed beside every decision."""
    return (await active_and_shadow(connection, task_type, subtask_id)).shadow


async def find(connection: AsyncConnection, task_type: str, subtask_id: str, version: int) -> Standing:
    """The calibration of that version. Raises NotFound, CalibrationUnreadable."""
    row = _pick(await _versions(connection, task_type, subtask_id), task_type, subtask_id, version)
    return _standing(row, (await load_bodies(connection, task_type, subtask_id, [row]))[version])


async def listing(
    connection: AsyncConnection, task_type: str | None = None, subtask_id: str | None = None
) -> list[Standing]:
    """Every calibration, by task type and subtask, the newest first. Raises CalibrationUnreadable."""
    query = select(calibrations).order_by(
        calibrations.c.task_type, calibrations.c.subtask_id, calibrations.c.version.desc()
    )
    if task_type is not None:
        query = query.where(calibrations.c.task_type == task_type)
    if subtask_id is not None:
        query = query.where(calibrations.c.subtask_id == subtask_id)
    rows = (await connection.execute(query)).all()
    return [_standing(row, validated(row.task_type, row.subtask_id, row)) for row in rows]


def standing_of(found: Sequence[Row[Any]]) -> Row[Any] | None:
    """The version that was activated last, unless it has been withdrawn since."""
    activated = [row for row in found if row.activated_at is not None]
    if not activated:
        return None
    last = max(activated, key=lambda row: (row.activated_at, row.version))
    return last if last.status in _STANDS else None


async def _versions(
    connection: AsyncConnection, task_type: str, subtask_id: str, *, locked: bool = False
) -> Sequence[Row[Any]]:
    values = {"task_type": task_type, "subtask_id": subtask_id}
    return (await connection.execute(_ALL_LOCKED if locked else _ALL, values)).all()


async def _retire(
    connection: AsyncConnection, task_type: str, subtask_id: str, note: str, *statuses: CalibrationStatus
) -> None:
    values = {"task_type": task_type, "subtask_id": subtask_id, "note": note, "statuses": list(statuses)}
    await connection.execute(_RETIRE, values)


def _pick(found: Sequence[Row[Any]], task_type: str, subtask_id: str, version: int) -> Row[Any]:
    for row in found:
        if row.version == version:
            return row
    known = ", ".join(f"{row.version} ({row.status})" for row in found)
    hint = f"it has {known}" if known else "it has none: calibrate its panel first"
    raise NotFound(f"{task_type}/{subtask_id} has no calibration {version}: {hint}")


def _standing(row: Row[Any], loaded: Calibration | str) -> Standing:
    return Standing(
        calibration=read_body(loaded),
        status=CalibrationStatus(row.status),
        created_at=row.created_at,
        activated_at=row.activated_at,
        ended_at=row.ended_at,
        note=row.note,
    )
