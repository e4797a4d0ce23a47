"""Cursors and moments."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.services.listing import decode_cursor, encode_cursor, parse_since
from domain.errors import InputError
from storage.repositories.listing import Position

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_comes_back_as_it_went(at: datetime, task_id: object) -> None:
    position = Position(at, str(task_id))
    assert decode_cursor(encode_cursor(position)) == position


@pytest.mark.parametrize("cursor", ["", "x", "%%%%", "MjAyNi0wMS0wMQ==", "MjAyNi0wMS0wMSBh", "Ã¼"])
def test_a_broken_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InputError, match="not a cursor"):
        decode_cursor(cursor)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_since(text: str, moment: datetime) -> None:
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "7", "-3d", "2026-13-01", "999999w"])
def test_since_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(InputError, match="--since"):
        parse_since(text, NOW)
