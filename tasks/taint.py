"""Taint: what a subtask's action rests on, and whether any of it was found to carry instructions."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from domain.guard import TAINT, Hop
from domain.task_type import SubtaskSpec, TaskType

_TAINTED = text(
    "SELECT EXISTS (SELECT FROM verdicts WHERE task_id = :task AND body -> 'obligations' @> CAST(:taint AS jsonb) "
    "AND (subtask_id IS NULL OR subtask_id = ANY(:subtasks)))"
).bindparams(bindparam("subtasks", type_=ARRAY(Text)))


def behind(task_type: TaskType, subtask_id: str) -> list[str]:
    """The subtask and every one that it depends on, sorted."""
    found: set[str] = set()
    open_ids = [subtask_id]
    while open_ids:
        name = open_ids.pop()
        if name not in found:
            found.add(name)
            open_ids += task_type.subtask(name).depends_on
    return sorted(found)


async def is_tainted(connection: AsyncConnection, task_id: str, subtask_ids: Sequence[str]) -> bool:
    """Whether the task's input, or anything these subtasks were shown, said or were answered, is tainted."""
    values = {"task": task_id, "subtasks": list(subtask_ids), "taint": f'["{TAINT}"]'}
    return bool(await connection.scalar(_TAINTED, values))


def was_tainted(task_type: TaskType, rows: Sequence[Mapping[str, Any]], subtask_id: str) -> bool:
    """Whether it was before the subtask acted, from records of verdicts."""
    rests_on = {None, *behind(task_type, subtask_id)}
    return any(
        TAINT in row["body"].get("obligations", ())
        for row in rows
        # Its own answer came after it had acted.
        if row["subtask_id"] in rests_on and not (row["hop"] == Hop.RESPONSE and row["subtask_id"] == subtask_id)
    )


def free_text(task_type: TaskType) -> frozenset[str]:
    """Payload fields that can hold any text; one with a list of values cannot say anything of its own."""
    fields = task_type.payload_schema.get("properties", {})
    return frozenset(name for name, field in fields.items() if not ({"enum", "const"} & dict(field).keys()))


def provenance(task_type: TaskType, spec: SubtaskSpec, payload: Mapping[str, Any]) -> list[str]:
    """Where what an action rests on comes from: fields, payload (free text in it), memory, catalog.

    It rests on what the panels of all subtasks before it were shown, as whether and when it is done depends on them.
    """
    found: set[str] = set()
    for name in behind(task_type, spec.id):
        found |= _shown(task_type, task_type.subtask(name), payload)
    return sorted(found)


def _shown(task_type: TaskType, spec: SubtaskSpec, payload: Mapping[str, Any]) -> set[str]:
    shown = {name for name in spec.context.working if name not in spec.context.hide and name in payload}
    texts = any(not isinstance(payload[name], int | float | None) for name in shown & free_text(task_type))
    sources = {"fields": bool(shown), "payload": texts}
    sources |= {"memory": spec.context.episodic > 0, "catalog": spec.context.semantic > 0}
    return {name for name, there in sources.items() if there}
