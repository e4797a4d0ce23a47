"""Telephone numbers: the international form, national forms that are hard to mistake, others where a word says so."""

import re
from collections.abc import Iterator

from guardrails.windows import Span

# The first sign is named before what stands before it: a class of signs is what the engine skips to fast.
_BEGINS = re.compile(r"[0-9+(](?:(?<![\w+][0-9+(])|(?<=\\[nrt][0-9+(]))(?=(?:[ ().\-/]{0,2}[0-9]){6})")
_DIGITS = r"[0-9](?:[ ().\-/]{0,2}[0-9])"

_INTERNATIONAL = re.compile(rf"(?:\+|00(?=[1-9][0-9]{{0,2}}[ \-/(])){_DIGITS}{{7,14}}(?!\w)")
_NORTH_AMERICAN = re.compile(
    r"(?:1[ \-.])?(?:\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[\-. ]|[2-9][0-9]{2}([\-.])[2-9][0-9]{2}\1)[0-9]{4}"
    r"(?![\w\-]|\.[0-9])"
)
# With the trunk's 0. At least one group of three or more, so that a list of two-digit numbers is none.
_TRUNK = re.compile(
    r"(?:\(0[1-9][0-9]{1,4}\) ?|0[1-9][0-9]{1,4}[ /])(?:[0-9]{6,8}|[0-9]{3,4} [0-9]{3,4})(?![\w\-/]|[.,][0-9])"
)
_ANY = re.compile(rf"\(?{_DIGITS}{{6,14}}(?![\w%])")
_WORD = re.compile(
    r"(?:phone|(?<![^\W_])(?:telefon|tel|mobile|mobil|handy|cell|fax|whatsapp|sms))"
    r"(?:[ _]?(?:number|nummer|no|nr))?[^\w+\n(]{0,6}(?:is |at )?$",
    re.IGNORECASE,
)
WORD_CHARS = 28
_AMOUNT = re.compile(r"^[^.]*\.[0-9]{1,2}$|0{5}$| 000 000$")
_CURRENCY = re.compile(r"\s?(?:%|[€$£¥]|(?:EUR|USD|GBP|CHF|JPY)\b)")


def phones(text: str) -> Iterator[tuple[Span, float]]:
    """Each number's place with how sure its form makes us; places do not overlap."""
    last = 0
    for begin in _BEGINS.finditer(text):
        if begin.start() < last:
            continue
        for form, score in _forms(text, begin.start()):
            match = form.match(text, begin.start())
            if match and not _AMOUNT.search(match.group()) and not _CURRENCY.match(text, match.end()):
                last = match.end()
                yield match.span(), score
                break


def _forms(text: str, start: int) -> Iterator[tuple[re.Pattern[str], float]]:
    """The forms that may begin here, the surest first."""
    if _WORD.search(text, max(0, start - WORD_CHARS), start):
        yield _ANY, 0.8
    # One more group of a longer number is where none begins.
    if text[start] in "0(" and text[start - 1 : start] == " " and text[start - 2 : start - 1].isdigit():
        return
    yield _INTERNATIONAL, 0.75
    if text[start - 1 : start] not in {".", "-", "/"}:
        yield _NORTH_AMERICAN, 0.6
        yield _TRUNK, 0.5
