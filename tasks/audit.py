"""Audit: a share of what a certified strategy decides is drawn to be looked at; too many errors withdraw it."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.calibration import Calibration, CalibrationStatus
from domain.canonical import digest
from domain.decision import Decision, ResultKind
from domain.errors import CalibrationUnreadable
from domain.task_type import CertifySpec, StrategySpec, SubtaskSpec, TaskType
from negotiation.calibration.cusum import alarm
from negotiation.force import to_calibrate
from negotiation.settle import certification
from negotiation.strategies import rule_of
from storage.repositories import audits as rows
from storage.repositories import calibrations
from storage.tables import audits
from storage.unit_of_work import UnitOfWork
from tasks.context import StageContext

_HEX_DIGITS = 13
"""So many digits of a digest are a number that a float holds exactly."""


async def draw(context: StageContext, work: UnitOfWork, spec: SubtaskSpec, decision: Decision) -> None:
    """Draw the decision for an audit, where a certified strategy made it without a person; it is added already."""
    asked, result, task = certification(spec.strategy), decision.result, context.task
    if asked is None or result.kind is not ResultKind.DECIDED or decision.option is None or result.calibration is None:
        return
    if task.dry_run or not is_drawn(task.seed, task.id, spec.id, asked.audit):
        return
    row = {
        "task_id": task.id,
        "subtask_id": spec.id,
        "calibration_version": result.calibration,
        "score": result.score,
    }
    await work.add(audits, row)
    data = {"calibration": result.calibration, "score": result.score, "share": asked.audit}
    await work.event(f"negotiate:{spec.id}:audit", "negotiate.audit", data, spec.id)
    # Its outcome may have been recorded before it was decided.
    await work.flush()
    await review(work.connection, context.task_type, [task.id])


def is_drawn(seed: int, task_id: str, subtask_id: str, share: float) -> bool:
    """The same draw for the same subtask, however often it is asked; `share` of all of them."""
    number = int(digest(["audit", seed, task_id, subtask_id])[:_HEX_DIGITS], 16)
    return number / 16.0**_HEX_DIGITS < share


async def review(connection: AsyncConnection, task_type: TaskType, task_ids: Sequence[str]) -> None:
    """Resolve these tasks' audits from their outcomes, and withdraw a calibration that its audits speak against."""
    for version in await rows.resolve(connection, task_ids, task_type.answer):
        await _check(connection, task_type, version)


async def _check(connection: AsyncConnection, task_type: TaskType, version: int) -> None:
    place = (task_type.name, task_type.answer, version)
    if await rows.lock_calibration(connection, *place) != CalibrationStatus.ACTIVE:
        return
    errors = [not audit.right for audit in await rows.audits_of(connection, *place) if audit.right is not None]
    try:
        made = (await calibrations.find(connection, *place)).calibration
    except CalibrationUnreadable:
        # It decides nothing, so there is nothing to withdraw; the outcome is recorded all the same.
        return
    alpha = certified_share(made, to_calibrate(task_type.subtask(task_type.answer).strategy))
    raised = alarm(errors, alpha)
    if raised is not None:
        note = f"{sum(errors[: raised.after])} of {raised.after} audits were wrong; {alpha:.1%} was certified"
        await calibrations.alarm(connection, *place, note)


def certified_share(calibration: Calibration, spec: StrategySpec) -> float:
    """The share of errors that the strategy was certified to keep: the calibration's, else the one asked for."""
    rule = rule_of(spec.name, spec.parameters)
    found = (certificate.alpha for certificate in calibration.certificates if certificate.strategy == rule)
    return next(found, (certification(spec) or CertifySpec()).alpha)
