"""The stored bodies of calibrations, read once by each process."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.calibration import Calibration
from domain.errors import CalibrationUnreadable

KEPT_BODIES = 256

_BODIES = text(
    "SELECT version, body FROM calibrations "
    "WHERE task_type = :task_type AND subtask_id = :subtask_id AND version = ANY(:versions)"
)
_Key = tuple[str, str, int, datetime]
_bodies: dict[_Key, Calibration] = {}
"""A calibration never changes once it is stored; its moment of storing tells databases apart."""


async def load_bodies(
    connection: AsyncConnection, task_type: str, subtask_id: str, wanted: Sequence[Row[Any]]
) -> Mapping[int, Calibration | str]:
    """By version: the calibration, or why it cannot be read."""
    if len(_bodies) > KEPT_BODIES:
        _bodies.clear()
    keys: dict[int, _Key] = {row.version: (task_type, subtask_id, row.version, row.created_at) for row in wanted}
    loaded: dict[int, Calibration | str] = {version: _bodies[key] for version, key in keys.items() if key in _bodies}
    missing = [version for version in keys if version not in loaded]
    if missing:
        values = {"task_type": task_type, "subtask_id": subtask_id, "versions": missing}
        for row in await connection.execute(_BODIES, values):
            found = loaded[row.version] = validated(task_type, subtask_id, row)
            if isinstance(found, Calibration):
                _bodies[keys[row.version]] = found
    return loaded


def validated(task_type: str, subtask_id: str, row: Row[Any]) -> Calibration | str:
    """The row's calibration, or why it cannot be read. Somebody may have edited it, or another release written it."""
    try:
        return Calibration.model_validate(row.body)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return (
            f"calibration {row.version} of {task_type}/{subtask_id} cannot be read ({where}: {first['msg']}): "
            f"calibrate again with `parley calibrate {task_type}`, and activate that version"
        )


def read_body(loaded: Calibration | str) -> Calibration:
    """The calibration. Raises CalibrationUnreadable."""
    if isinstance(loaded, str):
        raise CalibrationUnreadable(loaded)
    return loaded
