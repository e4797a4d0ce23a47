"""Sees text of a form that ordinary text does not have: too long, unseen characters, look-alikes, encoded, repeated.

It reads the text as it came; the other filters read it without what is invisible. It names no places: text like this is
refused or looked at, not repaired.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterator, Mapping

from domain.guard import Finding, Hop, Subject
from domain.guards_spec import FormSpec
from domain.task_type import TaskType

# Tags spell out ASCII that nobody sees; variation selectors beyond the first sixteen can carry bytes the same way.
_TAGS = re.compile("[\U000e0000-\U000e007f\U000e0100-\U000e01ef]")
# A flag of a region (England, Texas, ...) is a black flag, two to six tag characters and the closing one.
_REGION_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{2,6}\U000e007f")
_OVERRIDES = re.compile("[\u202d\u202e]")
_EMBEDDINGS = re.compile("[\u202a-\u202c\u2066-\u2069]")
# Joiners and breaks between letters of scripts that need them, or between emoji, are spelling.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0]"
    "|[\u200b-\u200d](?<=[\x00-\u024f][\u200b-\u200d])"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]|\\\\u00(?:0[0-8bBcCeEfF]|1[0-9a-fA-F]|7[fF])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_ASCII_WORD = re.compile(r"[^\W\d_]{2,64}")
# Cyrillic and Greek letters that are drawn as Latin ones.
_LOOK_ALIKES = frozenset("авеѕһіјԛорсԝхуАВЕЅНІЈКМОРСТХУԌԚԜΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϳονϲ")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]{40,}={0,2}")
_LETTERS = re.compile(rb"[A-Za-z ,.'\n]")
MIN_REPETITIVE = 2000
"""A shorter text is not measured for repetition."""


def build(task_type: TaskType) -> "Form":
    """The filter with the task type's limits."""
    return Form(task_type.guards.form)


class Form:
    """How far the text's form is out of the ordinary: the highest score of its signs."""

    id: str = "form"
    hops: frozenset[Hop] = frozenset(Hop)

    def __init__(self, spec: FormSpec) -> None:
        self._spec = spec
        self.version = f"1+{spec.max_chars}/{spec.blob_chars}"

    def check(self, subject: Subject) -> Finding | None:
        """A finding named after its strongest sign; its reason lists all."""
        text = subject.text
        if len(text) > self._spec.max_chars:
            # Not read further: this bounds what reading costs.
            return self._finding({"too_long": 1.0}, f"{len(text)} characters, at most {self._spec.max_chars} are read")
        signs = {name: score for name, sign in SIGNS.items() if (score := sign(text, self._spec)) > 0.0}
        return self._finding(signs, f"has {', '.join(signs)}") if signs else None

    def _finding(self, signs: Mapping[str, float], reason: str) -> Finding:
        category = max(signs, key=lambda name: signs[name])
        return Finding(guard_id=self.id, version=self.version, category=category, score=signs[category], reason=reason)


def _tags(text: str, spec: FormSpec) -> float:
    if text.isascii() or not _TAGS.search(text):
        return 0.0
    return 1.0 if _TAGS.search(_REGION_FLAG.sub("", text)) else 0.0


def _bidi(text: str, spec: FormSpec) -> float:
    """Overrides show text in another order than it is read; embeddings are normal in mixed right-to-left text."""
    if text.isascii():
        return 0.0
    if _OVERRIDES.search(text):
        return 0.9
    count = len(_EMBEDDINGS.findall(text))
    return 0.3 if count >= 6 and count > 0.02 * len(text) else 0.0


def _invisible(text: str, spec: FormSpec) -> float:
    """A stray one comes with copied text; many split words so that they are not recognised."""
    if text.isascii():
        return 0.0
    count = len(_INVISIBLE.findall(text))
    share = count / len(text)
    if count >= 20 or (count >= 3 and share > 0.05):
        return 0.8
    return 0.4 if count >= 3 else 0.0


def _control(text: str, spec: FormSpec) -> float:
    if _SURROGATE.search(text):
        return 1.0
    count = len(_CONTROL.findall(text))
    return 0.0 if not count else 0.5 if count < 5 else 0.8


def _confusable(text: str, spec: FormSpec) -> float:
    """Words with Latin letters in which every other letter is drawn as a Latin one."""
    if text.isascii():
        return 0.0
    count = sum(_is_disguised(word) for word in _NOT_ASCII_WORD.findall(text) if not word.isascii())
    return 0.0 if not count else 0.6 if count < 3 else 0.8


def _is_disguised(word: str) -> bool:
    foreign = [letter for letter in word if letter > "\u024f"]
    latin = any(letter.isascii() for letter in word)
    return latin and bool(foreign) and all(letter in _LOOK_ALIKES for letter in foreign)


def _blob(text: str, spec: FormSpec) -> float:
    """Base64 or hexadecimal digits: that which decodes to words hides them, that which is long is at least no prose."""
    return max((_of_blob(run, spec) for run in _runs(text)), default=0.0)


def _runs(text: str) -> Iterator[str]:
    yield from (match.group() for match in _BASE64.finditer(text))


def _of_blob(run: str, spec: FormSpec) -> float:
    decoded = _decoded(run[:4096])
    if decoded and len(_LETTERS.findall(decoded)) > 0.85 * len(decoded) and b" " in decoded:
        return 0.8
    mixed = any(sign.isdigit() for sign in run) and any(sign.isalpha() for sign in run)
    return 0.5 if len(run) >= spec.blob_chars and mixed else 0.0


def _decoded(run: str) -> bytes:
    digits = run.rstrip("=")
    if len(digits) % 2 == 0 and not digits.strip("0123456789abcdefABCDEF"):
        return bytes.fromhex(digits)
    digits = digits[: len(digits) // 4 * 4]
    try:
        return base64.b64decode(digits.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        return b""


def _repetition(text: str, spec: FormSpec) -> float:
    """How little is left of it when compressed: prose keeps a third, a list of equal records a twentieth."""
    if len(text) < MIN_REPETITIVE:
        return 0.0
    share = len(zlib.compress(text.encode("utf-8", "replace"), 1)) / len(text)
    return 0.7 if share < 0.015 else 0.4 if share < 0.03 else 0.0


SIGNS: Mapping[str, Callable[[str, FormSpec], float]] = {
    "tag_characters": _tags,
    "reordered_text": _bidi,
    "invisible_characters": _invisible,
    "control_characters": _control,
    "look_alike_letters": _confusable,
    "encoded_text": _blob,
    "repetition": _repetition,
}
"""Each sign's score in [0, 1]; 0 where it is not there."""
