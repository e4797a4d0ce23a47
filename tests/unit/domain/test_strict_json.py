"""What comes from outside is read strictly: poisons are refused with their place, sane values come through."""

import contextlib
import json
import math
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputError
from domain.strict_json import LIMIT_BYTES, MAX_DEPTH, JsonRefused, JsonTooLarge, parse, parse_async, parse_stream

DEEP = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
POISONS = {
    "too large": (b" " * LIMIT_BYTES + b"1", "size", "larger than 256 KiB"),
    "a level too deep": (b"\n " + DEEP, "depth", "line 2 column 34: nested too deeply"),
    "objects a level too deep": (b'{"a":' * 33 + b"1" + b"}" * 33, "depth", "line 1 column 161: nested"),
    "deeper than any stack": (b"[" * 200_000, "depth", "nested too deeply"),
    "deep after a text of brackets": (b'["\\"]]]]",' + DEEP[1:], "depth", "line 1 column 42: nested"),
    "a name twice": (b'{"a": {"b": 1, "b": 2}}', "duplicate", "at a: the name 'b' stands twice"),
    "a name twice in two spellings": (b'[{"a": 1, "\\u0061": 2}]', "duplicate", "at [0]: the name 'a' stands twice"),
    "NaN": (b'{"a": [1, NaN]}', "number", "at a[1]: NaN is not JSON"),
    "Infinity": (b"Infinity", "number", "at (root): Infinity is not JSON"),
    "-Infinity": (b"[-Infinity]", "number", "at [0]: -Infinity is not JSON"),
    "infinite by its exponent": (b'{"a": 1e999}', "number", "at a: the number 1e999 is too large"),
    "infinite with zeros in its exponent": (b"[1E+00400]", "number", "at [0]: the number 1E+00400 is too large"),
    "infinite by its digits": (b"1" * 400 + b".0", "number", "is too large"),
    "beyond int64": (b'{"a": 9223372036854775808}', "number", "at a: the number 9223372036854775808 does not fit"),
    "below int64": (b"[-9223372036854775809]", "number", "at [0]: the number -9223372036854775809 does not fit"),
    "a number of many digits": (b"[" + b"9" * 200_000 + b"]", "number", "at [0]: the number 9999999"),
    "a NUL in a text": (b'{"a": "x\\u0000"}', "nul", "at a: a NUL character"),
    "a NUL in a name": (b'{"a": {"\\u0000": 1}}', "nul", "at a: a NUL character"),
    "a bare NUL": (b'"a\x00"', "invalid", "line 1 column 3"),
    "a NUL between": (b"[1,\x00 2]", "invalid", "line 1 column 4"),
    "a lone high surrogate": (b'["\\ud83d"]', "surrogate", "at [0]: a lone surrogate"),
    "a lone low surrogate": (b'{"a": "\\uDE00x"}', "surrogate", "at a: a lone surrogate"),
    "surrogates the wrong way round": (b'"\\ude00\\ud83d"', "surrogate", "at (root): a lone surrogate"),
    "a surrogate in a name": (b'{"\\ud800": 1}', "surrogate", "at (root): a lone surrogate"),
    "a surrogate in UTF-8": (b'"\xed\xa0\x80"', "encoding", "byte 1 is not UTF-8"),
    "an overlong NUL": (b'"\xc0\x80"', "encoding", "byte 1 is not UTF-8"),
    "half a character": (b'"\xc3"', "encoding", "byte 1 is not UTF-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "encoding", "byte 0 is not UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf1", "invalid", "BOM"),
    "nothing": (b"", "invalid", "line 1 column 1"),
    "two values": (b"1 2", "invalid", "line 1 column 3"),
    "cut short": (b'{"a": [1, "b', "invalid", "line 1 column 11"),
    "a comma too many": (b"[1,]", "invalid", "line 1 column"),
    "single quotes": (b"{'a': 1}", "invalid", "line 1 column 2"),
    "a comment": (b"[1 // one\n]", "invalid", "line 1 column 4"),
    "a line break in a text": (b'"a\nb"', "invalid", "control character"),
    "a zero in front": (b"[01]", "invalid", "line 1 column 3"),
    "a bad escape": (b'"\\x41"', "invalid", "line 1 column 2"),
}


@pytest.mark.parametrize("name", POISONS)
def test_poison_is_refused_with_its_place(name: str) -> None:
    raw, kind, said = POISONS[name]
    with pytest.raises(JsonRefused) as caught:
        parse(raw)
    assert caught.value.kind == kind
    assert said in str(caught.value)
    assert isinstance(caught.value, InputError)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b'{"a": "[[[[' + b"[" * 100 + b'"}', {"a": "[" * 104}),
        (b"[9223372036854775807, -9223372036854775808]", [2**63 - 1, -(2**63)]),
        (b"[1.7976931348623157e308, 1e-400, -0, 1E5]", [sys.float_info.max, 0.0, 0, 1e5]),
        (b'"\\ud83d\\ude00 \\\\u0000 \\\\ud800"', "\U0001f600 \\u0000 \\ud800"),
        (b'["' + b"1" * 30 + b'", "1e999"]', ["1" * 30, "1e999"]),
        (b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        (b" \t\r\n null \n", None),
        (b"[]" + b" " * (LIMIT_BYTES - 2), []),
        ("é".encode() and '"é\\u00e9"'.encode(), "éé"),
    ],
)
def test_what_is_just_allowed_is_read(raw: bytes, value: Any) -> None:
    assert parse(raw) == (json.loads(raw) if value is None else value)


def test_a_text_is_held_to_its_bytes_and_its_surrogates() -> None:
    assert parse('{"a": "é"}') == {"a": "é"}
    with pytest.raises(JsonTooLarge):
        parse('"' + "é" * 10 + '"', limit=21)
    with pytest.raises(JsonRefused, match="character 1: a lone surrogate"):
        parse('"\ud800"')


def test_a_deep_stack_of_the_caller_is_no_crash() -> None:
    def descend(levels: int) -> Any:
        return parse(DEEP[1:-1]) if levels == 0 else descend(levels - 1)

    for left in range(40, 0, -1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json, "loads", _overflow)
            with pytest.raises(JsonRefused, match="nested too deeply"):
                descend(left)


def _overflow(*_: Any, **__: Any) -> Any:
    raise RecursionError


async def test_a_stream_is_left_at_the_first_byte_too_many() -> None:
    taken: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            taken.append(number)
            yield b" " * 10

    async def later() -> AsyncIterator[bytes]:
        for chunk in chunks():
            yield chunk

    with pytest.raises(JsonTooLarge, match="larger than 25 bytes"):
        parse_stream(chunks(), limit=25)
    with pytest.raises(JsonTooLarge):
        await parse_async(later(), limit=25)
    assert taken == [0, 1, 2, 0, 1, 2]


async def test_a_stream_is_read_across_its_chunks() -> None:
    raw = '{"a": "é", "b": [1, 2]}'.encode()

    async def later() -> AsyncIterator[bytes]:
        for byte in raw:
            yield bytes([byte])

    assert await parse_async(later(), limit=len(raw)) == parse_stream([raw[:8], raw[8:]]) == {"a": "é", "b": [1, 2]}
    with pytest.raises(JsonRefused, match="line 1 column 1"):
        parse_stream([])


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_sane_values_come_back(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse(text) == parse(text.encode()) == value


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0dD8e1+-.tN ', max_size=60).map(lambda text: text.encode()))
def test_what_is_read_agrees_with_json_and_can_be_stored(raw: bytes) -> None:
    try:
        found = parse(raw)
    except JsonRefused:
        return
    assert found == json.loads(raw)
    again = json.dumps(found, allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in again.replace("\\\\", "")
    assert again.encode()
    assert not isinstance(found, float) or math.isfinite(found)


def _filled(unit: bytes, before: bytes = b"[", after: bytes = b"]") -> bytes:
    count = (LIMIT_BYTES - len(before) - len(after)) // (len(unit) + 1)
    return before + b",".join([unit] * count) + after


@pytest.mark.parametrize(
    "raw",
    [
        _filled(b"0"),
        _filled(b"{}"),
        _filled(b'{"a":1,"b":"x"}'),
        _filled(b'"\\ud83d\\ude00"'),
        _filled(b'{"a":"x"}', after=b',"\\ud800"]'),
        _filled(b"0", before=b"[99999999999999999999,"),
        _filled(b"0", before=b'{"b":[', after=b'],"a":1,"a":2}'),
        b"[]" * 33 + b'"' + b'\\"' * 130_000,
        b'"' * LIMIT_BYTES,
        b"[" * LIMIT_BYTES,
    ],
)
def test_the_largest_document_is_read_or_refused_at_once(raw: bytes) -> None:
    assert len(raw) <= LIMIT_BYTES
    times = []
    for _ in range(3):
        begin = time.thread_time()
        with contextlib.suppress(JsonRefused):
            parse(raw)
        times.append(time.thread_time() - begin)
    # Some 5 to 45 ms; reading once more from each quote would take minutes.
    assert min(times) < 0.25
