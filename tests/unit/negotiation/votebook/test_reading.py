"""Votes from CSV lines: what is taken in, what is left out and said."""

import random
from io import StringIO

import pytest

from domain.errors import CaseFileError
from negotiation.votebook.reading import LISTED, Given, Votebook, read_votes

HEADER = "item,annotator,label,confidence,gold\n"


def _read(text: str) -> Votebook:
    return read_votes(StringIO(text, newline=""))


def _bad(text: str) -> list[tuple[int, str]]:
    return [(row.line, row.problem) for row in _read(HEADER + text).bad]


def test_votes_are_grouped_and_ordered() -> None:
    book = _read(HEADER + "2,b,x,,y\n1,b,y,0.25,y\n2,a,,1,y\n1,a,z,0,y\n")
    assert [item.key for item in book.items] == ["1", "2"]
    assert book.items[0].votes == (Given("a", "z", 0.0), Given("b", "y", 0.25))
    assert book.items[1].votes == (Given("a", None, 1.0), Given("b", "x", None))
    assert (book.labels, book.annotators, book.votes, book.bad) == (("x", "y", "z"), ("a", "b"), 4, ())


def test_columns_come_in_any_order_and_others_are_ignored() -> None:
    book = _read("seconds,gold,label,note,confidence,annotator,item\n9,g,l,,0.5,a,i\n")
    assert book.items[0].right == "g"
    assert book.items[0].votes == (Given("a", "l", 0.5),)


@pytest.mark.parametrize(
    "label", ["très bien", "a b", " a", "x, y", "007", "7", "+1", 'say "no"', "two\nlines", "日本"]
)
def test_labels_are_taken_as_they_are(label: str) -> None:
    quoted = '"' + label.replace('"', '""') + '"'
    book = _read(HEADER + f"i,a,{quoted},,{quoted}\r\nj,a,other,,{quoted}\r\n")
    assert book.bad == ()
    assert book.labels == tuple(sorted((label, "other")))
    assert book.items[0].right == label


def test_line_ends_of_any_kind_blank_lines_and_a_missing_last_end() -> None:
    rows = ["item,annotator,label,confidence,gold", "1,a,x,,x", "", "2,a,x,,y"]
    assert len({_read(end.join(rows)).items for end in ("\n", "\r\n", "\r")}) == 1
    assert _read("\r\n".join(rows)).votes == 2


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1,a,x,,x,more", "got 6 cells, expected 5"),
        ("1,a", "got 2 cells, expected 5"),
        (",a,x,,x", "item is empty"),
        ("1, ,x,,x", "annotator is empty"),
        ("1,a,x,,", "gold is empty"),
        ("1,a,x,1.01,x", "confidence: got '1.01', expected a number in [0, 1] or nothing"),
        ("1,a,x,-0.1,x", "confidence: got '-0.1', expected a number in [0, 1] or nothing"),
        ("1,a,x,nan,x", "confidence: got 'nan', expected a number in [0, 1] or nothing"),
        ("1,a,x,inf,x", "confidence: got 'inf', expected a number in [0, 1] or nothing"),
        ("1,a,x,0_1,x", "confidence: got '0_1', expected a number in [0, 1] or nothing"),
        ("1,a,x,high,x", "confidence: got 'high', expected a number in [0, 1] or nothing"),
        ("0,first,y,,x", "a second vote of 'first' on the item '0'"),
        ("0,a,x,,y", "gold: got 'y', the item '0' has 'x' before"),
        ('1,a,"x"y,,x', """not CSV: ',' expected after '"'"""),
        ('1,a,"x,,x', "not CSV: a quotation mark is left open"),
    ],
)
def test_a_bad_row_is_left_out_and_the_rest_goes_on(row: str, problem: str) -> None:
    assert _bad(f"0,first,x,,x\n{row}\n9,a,x,,x\n") == [(3, problem)]
    book = _read(HEADER + f"0,first,x,,x\n{row}\n9,a,x,,x\n")
    assert [item.key for item in book.items] == ["0", "9"]


def test_an_open_quotation_mark_costs_its_row_alone() -> None:
    rest = "".join(f"{number},a,x,,x\n" for number in range(20_000))
    book = _read(HEADER + f'q,a,"x,,x\n{rest}')
    assert [(row.line, row.problem) for row in book.bad] == [(2, "not CSV: a quotation mark is left open")]
    assert book.votes == 20_000


def test_a_row_over_several_lines_counts_from_its_first() -> None:
    assert _bad('1,a,"x\ny",,x\n2,a,"x\n\ny",2,x\n3,,x,,x\n')[0][0] == 4
    assert _bad('1,a,"x\ny",,x\n2,a,"x\n\ny",2,x\n3,,x,,x\n')[1] == (7, "annotator is empty")


def test_every_problem_is_counted_and_the_first_are_listed() -> None:
    book = _read(HEADER + "1,a,x,,x\n" + ",,,,\n" * (LISTED + 5))
    assert (len(book.bad), book.bad_count) == (LISTED, LISTED + 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column item, annotator, label, confidence, gold: it has none"),
        ("item,label\n1,x\n", "no column annotator, confidence, gold: it has 'item', 'label'; expected are item, anno"),
        ("item,annotator,label,confidence,gold,gold\n", "columns given twice: gold"),
        (HEADER, "no row can be used"),
        (HEADER + ",a,x,,x\n", "no row can be used .1 bad; first, line 2: item is empty."),
        (HEADER + "1,a,x,,x\n2,a,\0,,x\n", "line 3: holds a NUL"),
        (HEADER + f"1,a,{'x' * 200_000},,x\n", "line 2: a cell is longer than"),
        ('item,"annotator\n', "line 1: not CSV"),
    ],
)
def test_what_cannot_be_used_at_all_is_said(text: str, message: str) -> None:
    with pytest.raises(CaseFileError, match=message):
        _read(text)


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [
        f"{item},{name},{(item * 7 + place) % 3},0.{place},{item % 3}\n"
        for item in range(30)
        for place, name in enumerate("abc")
    ]
    shuffled = random.Random(1).sample(rows, len(rows))
    assert _read(HEADER + "".join(rows)) == _read(HEADER + "".join(shuffled))
