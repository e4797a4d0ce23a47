"""What a person's data looks like where it was repeated, and how it is taken out of a value."""

import base64
import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from domain.audit import erased_json, is_erased
from domain.canonical import canonical_json

LEAST = 4
"""Shorter strings are words of anybody's."""

LEFT = "erased"

_SAID = frozenset({"rationale", "named_error", "note"})
_VALUES = frozenset({"value"})
_LISTS = frozenset({"reasons"})


def strings_of(payload: Mapping[str, Any], schema: Mapping[str, Any]) -> frozenset[str]:
    """The payload's own texts: those that the schema does not list as one of a few."""
    listed = set(_listed(schema))
    return frozenset(one for one in _texts(payload) if len(one) >= LEAST and one not in listed)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _listed(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        given = (*schema.get("enum", ()), schema.get("const")) if isinstance(schema.get("enum", []), list) else ()
        yield from (one for one in given if isinstance(one, str))
        for inner in schema.values():
            yield from _listed(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from _listed(inner)


@dataclass(frozen=True)
class Quotes:
    """The texts that name a person."""

    strings: frozenset[str]

    def variants(self) -> tuple[str, ...]:
        """Each as it is and as JSON, HTML and CSV write it; the longest first."""
        found = set(self.strings)
        for one in self.strings:
            found |= {json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1], one.replace('"', '""')}
            # Reports' templates write quotes by their numbers.
            found |= {html.escape(one), html.escape(one, quote=False).replace('"', "&#34;").replace("'", "&#39;")}
        return tuple(sorted(found, key=lambda one: (-len(one), one)))

    def out_of(self, text: str) -> str:
        """The text without them."""
        for one in self.variants():
            text = text.replace(one, LEFT)
        return text

    def taken_out(self, value: Any) -> Any:
        """Plain JSON without them."""
        if isinstance(value, str):
            return self.out_of(value)
        if isinstance(value, dict):
            return {self.out_of(name): self.taken_out(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.taken_out(inner) for inner in value]
        return value

    def blanked(self, value: Any) -> Any:
        """What a decision or a proposal says of itself, without its grounds and without them."""
        if isinstance(value, list):
            return [self.blanked(inner) for inner in value]
        if not isinstance(value, dict):
            return self.taken_out(value)
        return {name: self._blanked(name, inner) for name, inner in value.items()}

    def _blanked(self, name: str, inner: Any) -> Any:
        if name in _SAID and isinstance(inner, str):
            return LEFT if inner else inner
        if name in _VALUES and not isinstance(inner, dict | list):
            return None
        if name in _LISTS and isinstance(inner, list):
            return []
        if name == "arguments" and isinstance(inner, dict):
            return dict.fromkeys(inner)
        return self.blanked(inner)

    def left_of(self, was: Any, is_json: bool) -> str:
        """What stands in a cell of another row, as its text; the hash of what stood there is kept where it can be."""
        if not is_json:
            return self.out_of(was)
        left = self.taken_out(was)
        return canonical_json(erased_json(was, left) if isinstance(was, dict) and not is_erased(was) else left)

    def found_in(self, raw: bytes) -> bool:
        """Whether the bytes hold one of them, plainly or in base64."""
        return any(one.encode() in raw for one in self.variants())

    def hidden_in(self, raw: bytes) -> bool:
        """Whether a stored result holds one of them: its value may be pickled in base64."""
        try:
            kept = json.loads(raw).get("result")
            inner = base64.b64decode(kept, validate=False) if isinstance(kept, str) else b""
        except (ValueError, AttributeError):
            inner = b""
        return self.found_in(raw) or self.found_in(inner)
