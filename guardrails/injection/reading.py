"""How the detector reads a text: one form for one wording, in windows of bounded length."""

import json
import re
from collections.abc import Iterator
from heapq import nlargest

from guardrails.text import readable
from guardrails.windows import windows

WINDOW = 1200
"""Characters that are judged at a time: an instruction must not drown in a long document."""
STEP = 900
MAX_WINDOWS = 32
"""Of a longer text the windows with most words of instructions are judged, and always the first and the last."""
MAX_CHARACTERS = 2_000_000
"""Nothing beyond is read; the filter of forms refuses such a text long before."""

_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\s*\n\s*")
_SPACED = re.compile(r"(?<!\w)(?:[^\W\d_] ){3,}[^\W\d_](?!\w)")
# A digit between letters, or first in a longer word: ign0re, 1gn0re; not 1st, 24h, v2.
_DIGIT_LETTERS = re.compile(r"(?<=[^\W\d_])[013457](?=[^\W\d_])|(?<!\w)[013457](?=[^\W\d_]{2}\w{2})")
_AS_LETTERS = str.maketrans("013457", "oieast")
_TRIGGER = re.compile(
    r"ignor|disregard|forget|overrid|bypass|instruction|prompt|system|pretend|you are|from now|reveal|password|secret"
    r"|assistant|unfilter|restrict|anweisung|vergiss|olvid|oubli|instruc|istruzion|инструкц|забудь|忽略|指令|提示|指示",
    re.IGNORECASE,
)


class Reading:
    """A window as it was written, without what is invisible, and in the one form that rules and model read."""

    __slots__ = ("digit_letters", "form", "spaced", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        form = _LINES.sub("\n", _SPACES.sub(" ", text.replace("’", "'").lower())).strip()
        joined = _SPACED.sub(lambda match: match[0].replace(" ", ""), form)
        self.form = _DIGIT_LETTERS.sub(lambda match: match[0].translate(_AS_LETTERS), joined)
        """Lower case, any white space one space or line break, s p a c e d words joined, d1gits as letters."""
        self.spaced = joined != form
        self.digit_letters = self.form != joined


def readings(text: str) -> Iterator[Reading]:
    """The windows to judge; at least one, at most MAX_WINDOWS."""
    return map(Reading, _windows(readable(_said(text[:MAX_CHARACTERS]))))


def _said(text: str) -> str:
    """What a JSON document says, without its signs: its texts, a line each, and names that are more than a word."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        left = [json.loads(text)]
    except (ValueError, RecursionError):
        return text
    said: list[str] = []
    while left:
        value = left.pop()
        if isinstance(value, str):
            said.append(value)
        elif isinstance(value, list):
            left += reversed(value)
        elif isinstance(value, dict):
            for name, inner in reversed(value.items()):
                left += [inner, name] if " " in name else [inner]
    return "\n".join(said)


def _windows(text: str) -> list[str]:
    pieces = [piece for _, piece in windows(text, WINDOW, WINDOW - STEP)]
    if len(pieces) <= MAX_WINDOWS:
        return pieces
    hits = [len(_TRIGGER.findall(piece)) for piece in pieces]
    inner = nlargest(MAX_WINDOWS - 2, range(1, len(pieces) - 1), key=lambda number: (hits[number], -number))
    return [pieces[number] for number in (0, *sorted(inner), len(pieces) - 1)]
