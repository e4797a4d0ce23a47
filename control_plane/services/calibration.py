"""Calibrating a panel through its flow, and putting a calibration in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from control_plane.services.reasons import bounded
from domain.calibration import CalibrationStatus, Certificate
from domain.errors import CalibrationRefused
from domain.persona import Persona
from domain.task_type import TaskType
from negotiation.force import to_calibrate
from negotiation.settle import certification
from storage.repositories import calibrations
from storage.repositories.audits import AuditTotals, totals
from storage.repositories.calibrations import Standing
from storage.repositories.shadows import Agreement, agreement
from tasks.calibrate import Seat, certificate_of, own_rule, seat_of
from tasks.calibration_words import Report
from tasks.learning import mismatch


@dataclass(frozen=True)
class Stood:
    """One version as it is listed."""

    version: int
    status: CalibrationStatus
    note: str | None
    created_at: datetime
    activated_at: datetime | None
    ended_at: datetime | None
    panel: Mapping[str, int]
    cases: int
    first_case_at: datetime
    last_case_at: datetime
    rule: str
    """The strategy that calibrations are made for now; another version may have been made for another."""
    asked: bool
    """Whether that strategy decides above a certified threshold only."""
    measure: str | None
    threshold: float | None
    """Certified; None where it certifies nothing for that strategy."""
    alpha: float | None
    coverage: float | None
    """Expected: the share of the test cases that the threshold decided."""
    audits: AuditTotals
    """Of the cases that it decided without a person: drawn, resolved by their outcome, found wrong."""
    shadow: Agreement | None
    """How its decisions compare, where it was computed beside others."""


@dataclass(frozen=True)
class Activated:
    """What an activation changed."""

    old: Stood | None
    new: Stood
    changed: bool
    """False where it was active already."""


async def calibrate_panel(
    task_type: str,
    since: datetime | None = None,
    until: datetime | None = None,
    alpha: float | None = None,
    seed: int = 0,
    dry_run: bool = False,
) -> Report:
    """Run the flow in this process.

    Prefect is imported here, so PREFECT_API_URL and DATABASE_URL must stand in the environment by now.
    """
    from flows.calibrate_panel import calibrate_panel as flow

    found: dict[str, Any] = await flow(
        task_type=task_type,
        since=None if since is None else since.isoformat(),
        until=None if until is None else until.isoformat(),
        alpha=alpha,
        seed=seed,
        dry_run=dry_run,
    )
    return Report.model_validate(found)


async def listing(engine: AsyncEngine, kind: TaskType) -> Sequence[Stood]:
    """Every version for the panel of the type's answer, the newest first."""
    async with engine.connect() as connection:
        found = await calibrations.listing(connection, kind.name, kind.answer)
        return [await _stood(connection, kind, one) for one in found]


async def activate(
    engine: AsyncEngine, kind: TaskType, personas: Mapping[str, Persona], version: int | None, note: str | None = None
) -> Activated:
    """Decide by this version from now on; without one, by the shadow.

    Raises NotFound for an unknown version, CalibrationRefused where it cannot be put in force.
    """
    seat = seat_of(kind, personas, None)
    async with engine.begin() as connection:
        before = await calibrations.active_and_shadow(connection, kind.name, kind.answer)
        if version is None:
            wanted = _newer_shadow(seat, before)
        else:
            wanted = await calibrations.find(connection, kind.name, kind.answer, version)
        _check(seat, wanted)
        old = None if before.standing is None else await _stood(connection, kind, before.standing)
        number = wanted.calibration.version
        await calibrations.activate(connection, kind.name, kind.answer, number, note)
        after = await calibrations.find(connection, kind.name, kind.answer, number)
        changed = wanted.status is not CalibrationStatus.ACTIVE
        return Activated(old if changed else None, await _stood(connection, kind, after), changed)


async def withdraw(engine: AsyncEngine, kind: TaskType, note: str) -> int:
    """Take what stands out of force: the panel is back at its cold start. Returns the version. Raises NotFound."""
    bounded(note)
    async with engine.begin() as connection:
        return await calibrations.withdraw(connection, kind.name, kind.answer, note)


def _newer_shadow(seat: Seat, before: calibrations.InForce) -> Standing:
    if before.shadow is not None:
        return before.shadow
    stands = "" if before.standing is None else f" newer than {before.standing.calibration.version}, which stands"
    raise CalibrationRefused(
        f"{seat.place} has no shadow{stands}: make one with `parley calibrate {seat.task_type}`, "
        "or name an earlier version (`--list` shows them)"
    )


def _check(seat: Seat, wanted: Standing) -> None:
    found = wanted.calibration
    if wanted.status is CalibrationStatus.ALARMED:
        raise CalibrationRefused(
            f"{seat.place}: version {found.version} has alarmed ({wanted.note}): calibrate on newer cases"
        )
    problem = mismatch(found, seat.panel, seat.subtask)
    if problem is not None:
        raise CalibrationRefused(f"{seat.place}: {problem}: calibrate again once the panel of now has resolved cases")


async def _stood(connection: AsyncConnection, kind: TaskType, one: Standing) -> Stood:
    found, spec = one.calibration, to_calibrate(kind.subtask(kind.answer).strategy)
    rule = own_rule(spec)
    own: Certificate | None = certificate_of(found, rule)
    certified = own is not None and own.threshold is not None
    return Stood(
        version=found.version,
        status=one.status,
        note=one.note,
        created_at=one.created_at,
        activated_at=one.activated_at,
        ended_at=one.ended_at,
        panel=found.panel,
        cases=found.fit_cases + found.certify_cases + found.test_cases,
        first_case_at=found.first_case_at,
        last_case_at=found.last_case_at,
        rule=rule,
        asked=certification(spec) is not None,
        measure=own.measure if own is not None else None,
        threshold=own.threshold if own is not None else None,
        alpha=own.alpha if own is not None else None,
        coverage=found.figures.get(rule, {}).get("certified_coverage") if certified else None,
        audits=await totals(connection, found.task_type, found.subtask_id, found.version),
        shadow=await agreement(connection, found.task_type, found.subtask_id, found.version),
    )
