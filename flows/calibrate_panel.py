"""Calibrate the panel of a task type's answer: what its resolved cases teach, certified, stored as the shadow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from prefect import flow, task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from sqlalchemy.ext.asyncio import AsyncConnection

from catalog.load import load_catalog
from domain.calibration import Calibration
from domain.errors import InputError, StackError
from domain.settings import Settings
from domain.task_type import TaskType
from storage.engine import async_engine
from storage.repositories import calibrations
from storage.repositories.resolved import resolved_cases
from tasks.calibrate import Material, Seat, calibrate, enough, seat_of, to_material
from tasks.calibration_words import Report, as_markdown, describe
from tasks.executors import EXECUTORS


@flow(name="calibrate_panel", flow_run_name="calibrate {task_type}", persist_result=False)
async def calibrate_panel(
    task_type: str,
    since: str | None = None,
    until: str | None = None,
    alpha: float | None = None,
    seed: int = 0,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Calibrate on the tasks decided in [since, until) whose outcome is known; a dry run stores nothing."""
    catalog = load_catalog(Settings().catalog, EXECUTORS)
    kind = catalog.task_type(task_type)
    seat = seat_of(kind, catalog.personas(task_type), alpha)

    material = await load_cases(kind, seat, _time("since", since), _time("until", until))
    fitted = await fit_and_certify(seat, material, seed)
    stored = None if fitted is None or dry_run else await store(fitted)
    report = describe(seat, material, stored or fitted, stored=stored is not None)
    await publish(report)
    return report.model_dump(mode="json")


@task(name="load_resolved_cases", retries=1, cache_policy=NO_CACHE, persist_result=False)
async def load_cases(kind: TaskType, seat: Seat, since: datetime | None, until: datetime | None) -> Material:
    """The blind votes of the resolved tasks, and what was right; the proposals themselves go no further."""
    async with _transaction() as connection:
        rows = await resolved_cases(connection, kind, seat.subtask.id, since, until)
    return to_material(seat, rows)


@task(name="fit_and_certify", cache_policy=NO_CACHE, persist_result=False)
async def fit_and_certify(seat: Seat, material: Material, seed: int) -> Calibration | None:
    """Reliabilities, the pool, a certified threshold for each strategy; None where there are too few cases."""
    if not enough(material):
        return None
    # In a thread: the loop has Prefect's own work to do meanwhile.
    return await asyncio.to_thread(calibrate, seat, material, seed)


@task(name="store_as_shadow", cache_policy=NO_CACHE, persist_result=False)
async def store(calibration: Calibration) -> Calibration:
    """Keep it under the next version: it is computed beside every decision from now on, and decides nothing."""
    async with _transaction() as connection:
        place = (calibration.task_type, calibration.subtask_id)
        kept = calibration.model_copy(update={"version": await calibrations.next_version(connection, *place)})
        await calibrations.store(connection, kept)
    return kept


async def publish(report: Report) -> None:
    """The figures in Prefect's UI, and the event that others may wait for."""
    name = report.task_type
    await acreate_markdown_artifact(markdown=as_markdown(report), key=f"calibration-{name.replace('_', '-')}")
    version = report.calibration.version if report.calibration is not None and report.stored else None
    emit_event(
        event="parley.calibration.finished",
        resource={"prefect.resource.id": f"parley.calibration.{name}", "prefect.resource.name": name},
        payload={"task_type": name, "subtask_id": report.subtask_id, "version": version, "certifies": report.certifies},
    )


def _time(name: str, given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise InputError(f"{name}: expected an ISO 8601 time, got {given!r}") from None
    if found.tzinfo is None:
        raise InputError(f"{name}: {given!r} has no time zone: add Z or an offset")
    return found


@asynccontextmanager
async def _transaction() -> AsyncIterator[AsyncConnection]:
    # Read where it is used and never passed on: parameters of a Prefect task are recorded, and this holds a password.
    dsn = Settings().database_url
    if dsn is None:
        raise StackError("DATABASE_URL is not set: run this where `parley up` has started a stack")
    engine = async_engine(dsn, size=1)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()
