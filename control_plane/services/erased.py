"""How a task whose person was erased is known, and what it still says."""

from collections.abc import Mapping
from typing import Any

from domain.errors import InputError

MARK = "erased"


def is_erased(row: Mapping[str, Any]) -> bool:
    """Whether the person's data has been taken out of the task."""
    return set(row["payload"]) == {MARK}


def refuse_erased(row: Mapping[str, Any]) -> None:
    """Raise InputError where there is nothing left to work from."""
    if is_erased(row):
        raise InputError(f"task {row['id']}: the person's data was erased: what is left are ids, statuses and digests")
