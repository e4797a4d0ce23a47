"""A person's texts are known again however a report writes them."""

import csv
import io
import json

import pytest
from markupsafe import escape

from domain.quotes import LEFT, Quotes, blanked, is_common, texts_of

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


WORDS = frozenset({"approved", "done", "clear", "submitted", "no_quorum"})


@pytest.mark.parametrize(
    ("text", "common"),
    [
        ("approved", True),
        ("Submitted", True),
        ("approved, done", True),
        ("4711", True),
        ("Bonn", True),
        ("teacher", True),
        ("...", True),
        ("a 1", True),
        ("c-4711", False),
        ("471100", False),
        ("Quorbin", False),
        ("Al Yu", True),
        ("Ann Lee", False),
        ("Oberpfaffenhofen", False),
        ("王小明", False),
        ("王", True),
    ],
)
def test_what_is_too_common_to_be_anybodys(text: str, common: bool) -> None:
    assert is_common(text, WORDS) is common


def test_only_whole_words_are_found() -> None:
    quotes = Quotes(frozenset({"c-4711", "Quorbin", "Söhne <x>"}))
    for text in (
        "c-4711",
        "by c-4711.",
        "(Quorbin)",
        "x_Quorbin_y",
        '{"a":"b\\nQuorbin"}',
        "Söhne <x>",
        "So\u0308hne <x>",
    ):
        assert quotes.quoted_in(text), text
    for text in ("abc-4711", "c-47110", "c-4711a", "Quorbinson", "McQuorbin", "quorbin", "Übersöhne <x>"):
        assert not quotes.quoted_in(text), text
    assert quotes.out_of("ec-4711 c-4711") == "ec-4711 erased"


def test_scripts_without_spaces_are_found_within_a_text() -> None:
    assert Quotes(frozenset({"王小明"})).out_of("我认识王小明。") == "我认识erased。"


def test_only_free_text_is_swept() -> None:
    quotes = Quotes(frozenset({"Quorbin"}))
    body = {"option": "Quorbin", "reasons": ["of Quorbin"], "tally": {"Quorbin": 1}, "working": {"reasons": "Quorbin"}}
    assert quotes.swept(body, {"reasons"}) == {**body, "reasons": ["of erased"]}
    assert quotes.swept({"Quorbin": ["Quorbin"]}, None) == {"Quorbin": ["erased"]}


def test_what_was_said_is_blanked_and_its_shape_stays() -> None:
    body = {"option": "pay", "rationale": "x", "value": 7, "arguments": {"to": "Ann"}, "reasons": ["y"], "note": ""}
    blank = {
        "option": "pay",
        "rationale": "erased",
        "value": None,
        "arguments": {"to": None},
        "reasons": [],
        "note": "",
    }
    assert blanked(body, {"rationale", "value", "arguments", "reasons", "note"}) == blank


def test_a_schemas_own_words_are_nobodys() -> None:
    schema = {"properties": {"home": {"enum": ["owner", "rent"]}}}
    assert texts_of({"home": "owner", "name": NAME, "n": 5, "of": {"x": " "}}, schema) == {NAME}
