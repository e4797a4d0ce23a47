"""A person's texts are known again however a report writes them."""

import csv
import io
import json

import pytest
from markupsafe import escape

from domain.quotes import LEFT, Quotes

NAME = 'Ann "Sam" O\'Hara & Söhne <x>'


def _csv(text: str) -> str:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerow([text])
    return file.getvalue()


@pytest.mark.parametrize("write", [str, json.dumps, escape, _csv], ids=["plain", "json", "template", "csv"])
def test_a_quote_is_taken_out(write: object) -> None:
    quotes = Quotes(frozenset({NAME}))
    written = str(write(f"said {NAME} today"))  # type: ignore[operator]
    assert quotes.found_in(written.encode())
    left = quotes.out_of(written)
    assert LEFT in left
    assert "Hara" not in left
