"""JSON from outside, read strictly: bounded in size and depth, each name once, numbers and text that can be stored."""

import json
import math
import re
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass, field
from typing import Any

from domain.errors import InputError

LIMIT_BYTES = 256 * 1024
MAX_DEPTH = 32
INT64 = range(-(2**63), 2**63)
_INT64_DIGITS = 20
_FLOAT_DIGITS = 310

# Possessive, and an open string runs to the end: else one text of escaped quotes is read again from each of them.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# Only these can stand for what int64 and finite floats do not hold, so other texts are read without asking.
_LARGE = re.compile(rb"[0-9]{19}|[eE]\+?[0-9]{3}")
_BAD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SAFE = frozenset({int, float, bool, type(None)})


class JsonRefused(InputError):
    """The text is not JSON that can be used. `kind` names the rule, `where` the place, `what` the fault."""

    def __init__(self, kind: str, where: str, what: str) -> None:
        self.kind, self.where, self.what = kind, where, what
        super().__init__(f"{where}: {what}" if where else what)


class JsonTooLarge(JsonRefused):
    """There are more bytes than are taken."""

    def __init__(self, limit: int) -> None:
        size = f"{limit // 1024} KiB" if limit % 1024 == 0 else f"{limit} bytes"
        super().__init__("size", "", f"larger than {size}: give a smaller document")


def parse(raw: bytes | str, *, limit: int = LIMIT_BYTES, depth: int = MAX_DEPTH, stored: bool = False) -> Any:
    """The value. Raises JsonRefused, and JsonTooLarge for more than `limit` bytes.

    `stored`: as Postgres gave it back, which writes a large float as a whole number.
    """
    data = _encoded(raw) if isinstance(raw, str) else raw
    if len(data) > limit:
        raise JsonTooLarge(limit)
    text = raw if isinstance(raw, str) else _decoded(raw)
    _check_depth(data, depth)
    large = _LARGE.search(data) is not None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_suspect,
            parse_int=(_whole_float if stored else _int64) if large else None,
            parse_float=_finite if large else None,
        )
    except json.JSONDecodeError as problem:
        raise JsonRefused(
            "invalid", f"line {problem.lineno} column {problem.colno}", f"{problem.msg}: give JSON"
        ) from None
    except _Suspect:
        raise _located(text, large, stored) or AssertionError("what was refused is found again") from None
    except RecursionError:
        raise _too_deep("", depth) from None
    if _BAD_ESCAPE.search(data) and (found := _located(text, large, stored)):
        raise found
    return value


def parse_stream(chunks: Iterable[bytes], *, limit: int = LIMIT_BYTES) -> Any:
    """The value of the chunks' text; reading ends at the first byte too many. Raises JsonRefused."""
    data = bytearray()
    for chunk in chunks:
        _extend(data, chunk, limit)
    return parse(bytes(data), limit=limit)


async def parse_async(chunks: AsyncIterable[bytes], *, limit: int = LIMIT_BYTES) -> Any:
    """The value of the chunks' text; reading ends at the first byte too many. Raises JsonRefused."""
    data = bytearray()
    async for chunk in chunks:
        _extend(data, chunk, limit)
    return parse(bytes(data), limit=limit)


def _extend(data: bytearray, chunk: bytes, limit: int) -> None:
    if len(data) + len(chunk) > limit:
        raise JsonTooLarge(limit)
    data += chunk


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise JsonRefused("surrogate", f"character {problem.start}", "a lone surrogate is no text") from None


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise JsonRefused("encoding", "", f"byte {problem.start} is not UTF-8: save the file as UTF-8") from None


def _check_depth(data: bytes, limit: int) -> None:
    """Before parsing: a parser's own limit is the stack."""
    if data.count(b"[") + data.count(b"{") <= limit:
        return
    depth = 0
    for bracket in _STRING.sub(b"", data).translate(None, _NOT_BRACKETS):
        if bracket in b"[{":
            depth += 1
            if depth > limit:
                raise _too_deep(_deepest(data, limit), limit)
        else:
            depth -= 1


def _deepest(data: bytes, limit: int) -> str:
    """Where the first bracket too deep stands."""
    depth = 0
    for found in re.finditer(_STRING.pattern + rb"|[\[\]{}]", data, re.DOTALL):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found.group(), 0)
        if depth > limit:
            before = data[: found.start()].decode("utf-8")
            return f"line {before.count(chr(10)) + 1} column {len(before) - (before.rfind(chr(10)) + 1) + 1}"
    return ""


def _too_deep(where: str, limit: int) -> JsonRefused:
    return JsonRefused("depth", where, f"nested too deeply, more than {limit} levels: give a flatter document")


class _Suspect(ValueError):
    """Something is refused; where it stands is looked up by reading once more."""


def _suspect(word: str) -> Any:
    raise _Suspect(word)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Suspect
    return found


def _int64(digits: str) -> int:
    # The length first: a number of many digits takes long to convert.
    if len(digits) > _INT64_DIGITS or int(digits) not in INT64:
        raise _Suspect
    return int(digits)


def _whole_float(digits: str) -> int:
    if len(digits) > _FLOAT_DIGITS:
        raise _Suspect
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Suspect
    return value


@dataclass(frozen=True)
class _Bad:
    """What is refused; it stands in a value in the place of a number."""

    kind: str
    what: str
    steps: list[str | int] = field(default_factory=list)
    """Names and places on the way to it, from the inside out."""


class _Pairs(list[tuple[str, Any]]):
    """An object with every name as often as it was given."""


def _located(text: str, large: bool, stored: bool = False) -> JsonRefused | None:
    """The first thing refused in a text that is otherwise JSON, with its path."""
    value = json.loads(
        text,
        object_pairs_hook=_Pairs,
        parse_constant=_mark_constant,
        parse_int=(_mark_whole if stored else _mark_int) if large else None,
        parse_float=_mark_float if large else None,
    )
    found = _problem(value)
    if found is None:
        return None
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{_short(step)}" for step in reversed(found.steps))
    return JsonRefused(found.kind, f"at {path.removeprefix('.') or '(root)'}", found.what)


def _mark_constant(word: str) -> _Bad:
    return _Bad("number", f"{word} is not JSON: give a finite number or null")


def _mark_int(digits: str) -> Any:
    try:
        return _int64(digits)
    except _Suspect:
        return _Bad("number", f"the number {_short(digits)} does not fit 64 bits: give a smaller one, or text")


def _mark_whole(digits: str) -> Any:
    try:
        return _whole_float(digits)
    except _Suspect:
        return _Bad("number", f"the number {_short(digits)} is too large: give a finite one")


def _mark_float(digits: str) -> Any:
    try:
        return _finite(digits)
    except _Suspect:
        return _Bad("number", f"the number {_short(digits)} is too large: give a finite one")


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _problem(value: Any) -> _Bad | None:
    if isinstance(value, _Bad):
        return value
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, _Pairs):
        return _of_object(value)
    if isinstance(value, list):
        for place, item in enumerate(value):
            if type(item) not in _SAFE and (problem := _problem(item)):
                problem.steps.append(place)
                return problem
    return None


def _of_object(pairs: _Pairs) -> _Bad | None:
    seen: set[str] = set()
    for name, value in pairs:
        if problem := _of_text(name):
            return problem
        if name in seen:
            what = f"the name {_short(name)!r} stands twice: a name given twice has no one value"
            return _Bad("duplicate", what)
        seen.add(name)
        if type(value) not in _SAFE and (problem := _problem(value)):
            problem.steps.append(name)
            return problem
    return None


def _of_text(text: str) -> _Bad | None:
    if "\x00" in text:
        return _Bad("nul", "a NUL character cannot be stored: leave it out")
    if _SURROGATE.search(text):
        return _Bad("surrogate", "a lone surrogate is no text: give its pair or leave it out")
    return None
