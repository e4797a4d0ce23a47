"""Poison is handed to `parley submit`: refused as bad input, by exit code 2, and nothing is written."""

import json
from pathlib import Path

import psycopg
import pytest

from tests.faults.control_tasks import ALONE
from tests.faults.workers import FULL, count, parley

_GOOD = json.dumps(ALONE).encode()
POISONS = {
    "NaN": _GOOD.replace(b"300", b"NaN"),
    "a name twice": _GOOD[:-1] + b', "Amount": 1}',
    "too deep": b'{"Seniority":' + b"[" * 200_000,
    "too large": b" " * (256 * 1024) + _GOOD,
    "infinite": _GOOD.replace(b"300", b"1e999"),
    "beyond int64": _GOOD.replace(b"300", b"9223372036854775808"),
    "a NUL": _GOOD.replace(b"owner", b"own\\u0000er"),
    "a lone surrogate": _GOOD.replace(b"owner", b"\\ud83d"),
    "not UTF-8": _GOOD.replace(b"owner", b"\xc3"),
    "cut short": _GOOD[:-5],
    "no object": b"[]",
    "nothing": b"",
    "not in the schema": _GOOD[:-1] + b', "; DROP TABLE tasks": 1}',
}


def _rows(dsn: str) -> dict[str, int]:
    """How many rows each table has."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {name: count(dsn, "true", name) for (name,) in tables}


@pytest.mark.parametrize("poison", POISONS if FULL else list(POISONS)[:2])
def test_it_is_refused_and_nothing_is_written(dsn: str, tmp_path: Path, poison: str) -> None:
    before = _rows(dsn)
    assert len(before) > 10
    told = parley(dsn, tmp_path, "submit", "credit_review", "-", "--lane", "direct", given=POISONS[poison])
    assert told.returncode == 2, told.stderr.decode()
    assert b"Traceback" not in told.stdout + told.stderr
    assert _rows(dsn) == before


def test_what_is_no_poison_is_taken(dsn: str, tmp_path: Path) -> None:
    before = _rows(dsn)
    assert parley(dsn, tmp_path, "submit", "credit_review", "-", "--lane", "direct", given=_GOOD).returncode == 0
    assert _rows(dsn) != before
