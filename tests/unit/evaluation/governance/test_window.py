"""How time is cut into periods."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from domain.errors import InputError
from evaluation.governance.window import Window, bucket, buckets

AT = datetime(2026, 3, 4, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
"""The 5th in UTC, a Thursday."""
UNTIL = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize(("size", "name"), [("day", "2026-03-05"), ("week", "2026-03-02"), ("month", "2026-03")])
def test_a_period_is_named_in_utc(size: str, name: str) -> None:
    assert bucket(AT, size) == name


@pytest.mark.parametrize(
    ("first", "last", "size", "number"),
    [
        ("2026-02-27", "2026-03-02", "day", 4),
        ("2026-03-02", "2026-03-02", "week", 1),
        ("2025-12-29", "2026-01-12", "week", 3),
        ("2025-11", "2026-02", "month", 4),
    ],
)
def test_no_period_is_left_out(first: str, last: str, size: str, number: int) -> None:
    found = buckets(first, last, size)
    assert (found[0], found[-1], len(found)) == (first, last, number)


@pytest.mark.parametrize(("days", "size"), [(7, "day"), (14, "day"), (15, "week"), (98, "week"), (99, "month")])
def test_the_size_suits_the_time(days: int, size: str) -> None:
    assert Window(since=UNTIL - timedelta(days=days), until=UNTIL).size(None) == size
    assert Window(until=UNTIL).size(UNTIL - timedelta(days=days)) == size
    assert Window(since=UNTIL - timedelta(days=days), until=UNTIL, by="month").size(None) == "month"


def test_until_is_outside() -> None:
    window = Window(since=UNTIL - timedelta(days=1), until=UNTIL)
    assert window.covers(window.since)
    assert not window.covers(UNTIL)
    assert not window.covers(UNTIL - timedelta(days=2))
    assert window.covers(None)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="--since"):
        Window(since=UNTIL, until=UNTIL).check()
    with pytest.raises(InputError, match="--by"):
        Window(until=UNTIL, by="year").check()
    with pytest.raises(ValidationError):
        Window(until=datetime(2026, 4, 1))
