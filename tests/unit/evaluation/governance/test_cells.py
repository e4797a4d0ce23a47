"""A spreadsheet takes every cell as text."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.governance.cells import COLUMNS, MAX_CELL, CsvFile, JsonFile, cell
from evaluation.governance.row import Row
from evaluation.governance.tally import Tally
from evaluation.governance.window import Window

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
STARTS = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'=1"),
        ("\r\n=1", "'=1"),
        ("  =1", "'=1"),
        ("'=1", "''=1"),
        ('"=1', "\"'=1"),
        ("fine;=1", "fine;'=1"),
        ("fine; =1", "fine; '=1"),
        ("a\t=1", "a =1"),
        ("\N{FULLWIDTH EQUALS SIGN}1", "'\N{FULLWIDTH EQUALS SIGN}1"),
        ("a\u202eb\x1b[1m", "a\ufffdb\ufffd[1m"),
        ("a=b+c", "a=b+c"),
        ("", ""),
        (7, "7"),
    ],
)
def test_what_begins_a_formula_is_text(text: object, told: str) -> None:
    assert cell(text) == told


@given(st.text(alphabet=st.sampled_from([*STARTS, ";", "'", '"', " ", "\t", "\n", "\r", "\x00", "\ufeff", "a"])))
def test_no_cell_is_a_formula(text: str) -> None:
    for part in cell(text).split(";"):
        # A spreadsheet takes white space and quotes away before it looks; an apostrophe makes it text.
        assert part.strip(' "')[:1] not in STARTS or not part.strip(' "')


@given(st.text(max_size=40))
def test_a_cell_is_one_printable_line(text: str) -> None:
    assert cell(text).isprintable()
    assert len(cell(text)) <= MAX_CELL + len(text)


def test_a_row_of_the_csv_reads_back() -> None:
    file = io.StringIO()
    rows = CsvFile(file)
    rows.take(
        Row(
            kind="override",
            at=AT,
            task="t",
            type="loan",
            policies=("A", "=B"),
            by='O"Hara, Ann',
            reason="=cmd|' /C calc'!A0\nmore",
            waited=1.5,
            seq=3,
            anchored=False,
        )
    )
    head, line = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert tuple(head) == COLUMNS
    found = dict(zip(head, line, strict=True))
    assert found["at"] == "2026-03-04T05:06:07+00:00"
    assert (found["policies"], found["by"], found["anchored"]) == ("A; '=B", 'O"Hara, Ann', "no")
    assert found["reason"] == "'=cmd|' /C calc'!A0 more"
    assert (found["waited_seconds"], found["seq"], found["entry_hash"]) == ("1.500", "3", "")


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_the_json_is_one_document(rows: int) -> None:
    file = io.StringIO()
    written = JsonFile(file)
    for number in range(rows):
        written.take(Row(kind="verdict", at=AT, task=f"t{number}", type="loan", reason="\u2028</script>\udc80"))
    written.finish(Tally(Window(until=AT)).summary("r", AT, None))
    found = json.loads(file.getvalue())
    assert [row["task"] for row in found["rows"]] == [f"t{number}" for number in range(rows)]
    assert found["summary"]["report_id"] == "r"
