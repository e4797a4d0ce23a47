"""Audits: cases decided without a person that were drawn to be looked at, and what their outcomes said."""

from collections.abc import Sequence

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.calibration import Audit
from domain.model import Frozen
from storage.tables import audits, tasks

# A corrected outcome corrects the audit; its place in the order of resolution stays.
_RESOLVE = text(
    'UPDATE audits SET "right" = d.action IS NOT DISTINCT FROM o.right_action, '
    "resolved_at = COALESCE(audits.resolved_at, now()) "
    "FROM decisions d JOIN outcomes o ON o.task_id = d.task_id "
    "WHERE audits.task_id = ANY(:task_ids) AND audits.subtask_id = :subtask_id "
    "AND d.task_id = audits.task_id AND d.subtask_id = audits.subtask_id "
    'AND audits."right" IS DISTINCT FROM (d.action IS NOT DISTINCT FROM o.right_action) '
    "RETURNING audits.calibration_version"
)
_LOCK = text(
    "SELECT status FROM calibrations WHERE task_type = :task_type AND subtask_id = :subtask_id "
    "AND version = :version FOR UPDATE"
)


class AuditTotals(Frozen):
    """How the audits of one calibration stand."""

    drawn: int
    resolved: int
    wrong: int


async def resolve(connection: AsyncConnection, task_ids: Sequence[str], subtask_id: str) -> tuple[int, ...]:
    """Resolve these tasks' audits from their outcomes; returns the calibrations that anything changed for."""
    found = await connection.execute(_RESOLVE, {"task_ids": list(task_ids), "subtask_id": subtask_id})
    return tuple(sorted({row.calibration_version for row in found}))


async def lock_calibration(connection: AsyncConnection, task_type: str, subtask_id: str, version: int) -> str | None:
    """Its status; of two that resolve audits at once the second waits here and then reads the first one's too."""
    values = {"task_type": task_type, "subtask_id": subtask_id, "version": version}
    status = await connection.scalar(_LOCK, values)
    return None if status is None else str(status)


async def audits_of(connection: AsyncConnection, task_type: str, subtask_id: str, version: int) -> list[Audit]:
    """The calibration's audits: the resolved ones in the order of their resolution, then the open ones."""
    query = (
        select(*(audits.c[name] for name in Audit.model_fields))
        .join(tasks, tasks.c.id == audits.c.task_id)
        .where(
            audits.c.subtask_id == subtask_id,
            audits.c.calibration_version == version,
            tasks.c.task_type == task_type,
        )
        .order_by(audits.c.resolved_at.nulls_last(), audits.c.drawn_at, audits.c.task_id)
    )
    return [Audit.model_validate(dict(row)) for row in (await connection.execute(query)).mappings()]


async def totals(connection: AsyncConnection, task_type: str, subtask_id: str, version: int) -> AuditTotals:
    """The calibration's audits, counted."""
    wrong = func.count().filter(audits.c.right.is_(False))
    query = (
        select(func.count(), func.count(audits.c.resolved_at), wrong)
        .join(tasks, tasks.c.id == audits.c.task_id)
        .where(
            audits.c.subtask_id == subtask_id,
            audits.c.calibration_version == version,
            tasks.c.task_type == task_type,
        )
    )
    drawn, resolved, errors = (await connection.execute(query)).one()
    return AuditTotals(drawn=drawn, resolved=resolved, wrong=errors)
