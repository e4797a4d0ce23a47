"""What a person's data looks like where it was repeated, and how it is taken out of a value."""

import base64
import html
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

LEAST_WORD = 6
"""A single word that is shorter is anybody's: 4711, Smith, Bonn."""
LEAST_WORDS = 5
"""Of several words together: `c-4711` and `Ann Lee` count, `a 1` does not."""

LEFT = "erased"

_COPIES = frozenset({"working", "payload"})
"""Names beneath which a copy of the subject's own payload stands."""

_WORD = re.compile(r"[^\W_]+")
# In a file of JSON, an escape may stand right before a word.
_BEFORE = r"(?:(?<![^\W_])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))"
_BEHIND = r"(?![^\W_])"


def texts_of(payload: Mapping[str, Any], schema: Mapping[str, Any]) -> frozenset[str]:
    """The payload's own texts: those that the schema does not list as one of a few."""
    listed = set(listed_in(schema))
    return frozenset(one for one in leaves(payload) if one.strip() and one not in listed)


def leaves(value: Any) -> Iterator[str]:
    """Every text in plain JSON, names aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)


def listed_in(schema: Any) -> Iterator[str]:
    """The texts that a JSON Schema lists as one of a few."""
    if isinstance(schema, Mapping):
        given = (*schema.get("enum", ()), schema.get("const")) if isinstance(schema.get("enum", []), list) else ()
        yield from (one for one in given if isinstance(one, str))
        for inner in schema.values():
            yield from listed_in(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from listed_in(inner)


def is_common(text: str, vocabulary: Collection[str]) -> bool:
    """Whether the text is too common to be anybody's: a word of the platform or the catalog (`vocabulary`, in small
    letters), a short one, or a single word in small letters alone, as languages write what is not a name.
    """
    words = _WORD.findall(text)
    if text.strip().casefold() in vocabulary or all(one.casefold() in vocabulary for one in words):
        return True
    # A sign of a script without capitals, such as Chinese, says about as much as two letters.
    weight = sum(2 if unicodedata.category(sign) == "Lo" else 1 for one in words for sign in one)
    if len(words) > 1:
        return weight < LEAST_WORDS
    return weight < LEAST_WORD or (text.strip().isalpha() and text.strip().islower())


@dataclass(frozen=True)
class Quotes:
    """The texts that name a person. They are found as whole words, written as they are here."""

    strings: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.strings)

    def variants(self) -> tuple[str, ...]:
        """Each as it is and as JSON, HTML and CSV write it, in both forms of Unicode; the longest first."""
        found = set[str]()
        for one in {form for text in self.strings for form in _forms(text)}:
            found |= {one, json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1], one.replace('"', '""')}
            # Reports' templates write quotes by their numbers.
            found |= {html.escape(one), html.escape(one, quote=False).replace('"', "&#34;").replace("'", "&#39;")}
        return tuple(sorted(found, key=lambda one: (-len(one), one)))

    def without(self, texts: Collection[str]) -> "Quotes":
        """Those that are none of these texts."""
        return Quotes(self.strings - frozenset(texts))

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        return re.compile("|".join(_bounded(one) for one in self.variants())) if self.strings else None

    def quoted_in(self, text: str) -> bool:
        """Whether the text holds one of them."""
        return self._pattern is not None and self._pattern.search(text) is not None

    def out_of(self, text: str) -> str:
        """The text without them."""
        return text if self._pattern is None else self._pattern.sub(LEFT, text)

    def taken_out(self, value: Any) -> Any:
        """Plain JSON whose texts are without them; names stay."""
        return _mapped(value, self.out_of)

    def swept(self, value: Any, free: Collection[str] | None) -> Any:
        """Plain JSON without them in what stands beneath one of the names in `free`; None: anywhere."""
        if free is None:
            return self.taken_out(value)
        return _beneath(value, free, self.taken_out)

    def found_in(self, raw: bytes) -> bool:
        """Whether the bytes hold one of them."""
        return self.quoted_in(raw.decode("utf-8", "surrogateescape"))

    def hidden_in(self, raw: bytes) -> bool:
        """Whether a stored result holds one of them, also within a word: its value may be pickled, in base64."""
        try:
            kept = json.loads(raw).get("result")
            inner = base64.b64decode(kept, validate=False) if isinstance(kept, str) else b""
        except (ValueError, AttributeError):
            inner = b""
        return any(one.encode() in held for one in self.variants() for held in (raw, inner))


def blanked(value: Any, said: Collection[str]) -> Any:
    """Plain JSON of which nothing is left beneath the names in `said`."""
    return _beneath(value, said, _gone)


def _gone(value: Any) -> Any:
    if isinstance(value, str):
        return LEFT if value else value
    return [] if isinstance(value, list) else dict.fromkeys(value) if isinstance(value, dict) else None


def _beneath(value: Any, names: Collection[str], change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {
            name: change(inner) if name in names else inner if name in _COPIES else _beneath(inner, names, change)
            for name, inner in value.items()
        }
    return [_beneath(inner, names, change) for inner in value] if isinstance(value, list) else value


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _mapped(inner, change) for name, inner in value.items()}
    return [_mapped(inner, change) for inner in value] if isinstance(value, list) else value


def _forms(text: str) -> set[str]:
    return {text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)}


def _bounded(form: str) -> str:
    """A pattern for it as whole words. Scripts without capitals may put nothing between words."""
    first, last = (_stands_alone(sign) for sign in (form[0], form[-1]))
    return f"{_BEFORE if first else ''}{re.escape(form)}{_BEHIND if last else ''}"


def _stands_alone(sign: str) -> bool:
    return sign.isalnum() and unicodedata.category(sign) != "Lo"
