"""What a governance report is about: a time, a task type, and how the time is cut into periods."""

from datetime import UTC, datetime, timedelta
from typing import Self

from pydantic import model_validator

from domain.errors import InputError
from domain.model import Frozen

SIZES = ("day", "week", "month")
"""What denials can be counted by."""
_DAYS_BY_DAY, _DAYS_BY_WEEK = 14, 98


class Window(Frozen):
    """What happened in [since, until), of one task type or of all."""

    since: datetime | None = None
    """None: from the first."""
    until: datetime
    task_type: str | None = None
    by: str | None = None
    """One of SIZES; None: what suits the time that is covered."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until.tzinfo is None or (self.since is not None and self.since.tzinfo is None):
            raise ValueError("since and until need a time zone")
        return self

    def check(self) -> Self:
        """The window itself. Raises InputError where it cannot be."""
        if self.since is not None and self.since >= self.until:
            since, until = (at.isoformat(timespec="seconds") for at in (self.since, self.until))
            raise InputError(f"--since {since}: it is not before --until {until}")
        if self.by is not None and self.by not in SIZES:
            raise InputError(f"--by {self.by}: no such period: one of {', '.join(SIZES)}")
        return self

    def covers(self, at: datetime | None) -> bool:
        """Whether it falls in here; what has no time is not left out."""
        if at is None:
            return True
        return (self.since is None or at >= self.since) and at < self.until

    def size(self, first: datetime | None) -> str:
        """The size of a period; `first`: the first moment of which there is something to tell."""
        if self.by is not None:
            return self.by
        begins = self.since or first
        days = 0 if begins is None else (self.until - begins).days
        return "day" if days <= _DAYS_BY_DAY else "week" if days <= _DAYS_BY_WEEK else "month"


def bucket(at: datetime, size: str) -> str:
    """The period that the moment lies in, in UTC: 2026-03-09, the Monday of its week, or 2026-03."""
    day = at.astimezone(UTC).date()
    if size == "month":
        return f"{day:%Y-%m}"
    return (day - timedelta(days=day.weekday() if size == "week" else 0)).isoformat()


def buckets(first: str, last: str, size: str) -> list[str]:
    """Every period from one to another, those without anything too."""
    if size == "month":
        year, month = (int(part) for part in first.split("-"))
        found = [first]
        while found[-1] < last:
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            found.append(f"{year:04d}-{month:02d}")
        return found
    day, step = datetime.fromisoformat(first), timedelta(days=7 if size == "week" else 1)
    found = [first]
    while found[-1] < last:
        day += step
        found.append(day.date().isoformat())
    return found
