"""What the model sees of a window: hashed n-grams of letters and words, the rules that matched, and a few signs.

Only numpy: an n-gram's hash is rolled over the whole window at once, so a KB takes well under a millisecond.
"""

import re
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from guardrails.injection import rules
from guardrails.injection.reading import Reading

VERSION = 1
"""Raised when features change: a model fits one version only."""
BITS = 16
BUCKETS = 1 << BITS
LETTERS = (3, 4, 5)
"""Lengths of the n-grams of letters; none spans two words, each word stands between spaces."""
GAP = 3
"""Pairs of words at most so far apart count, as do three in a row."""
SCALE = 4.0
"""Length of the vector of letters, and of that of words: how much they weigh beside rules and signs of 1."""

Buckets = NDArray[np.int64]
Hashes = NDArray[np.uint64]

_WORD = re.compile(r"[^\W_]+|[^\w\s]")
_DIGIT = re.compile(r"\d")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(29)
_TOP = np.uint64(64 - BITS)
_SPACE = 32

AGGREGATES = (1, 2, 3, 4, 6)
"""At least so many rules matched."""
SIGNS = (
    "shouted_words",
    "mostly_shouted",
    "spaced_letters",
    "digits_as_letters",
    "long_token",
    "ends_with_question",
    "ends_with_colon",
    "short",
    "long",
    "quotes",
    "exclamations",
    "you",
    "your",
    "i",
    "not_ascii",
)


class Features(NamedTuple):
    """A window as the model sees it."""

    letters: Buckets
    words: Buckets
    facts: NDArray[np.float32]
    """1 or 0 for each rule, aggregate and sign; see `fact_names`."""
    matched: frozenset[str]
    """Rules."""


def features(reading: Reading) -> Features:
    """What the model sees. Raises yara.TimeoutError."""
    found = rules.matched(reading.form)
    flat = _DIGIT.sub("0", reading.form.replace("\n", " "))
    facts = [name in found for name in rules.names()]
    count = len(found - rules.HINTS_OF_BENIGN)
    facts += [count >= least for least in AGGREGATES]
    facts += _signs(reading)
    return Features(_letter_grams(flat), _word_grams(flat), np.array(facts, np.float32), found)


def fact_names() -> tuple[str, ...]:
    """What each of the facts is."""
    return (*rules.names(), *(f"rules_{least}" for least in AGGREGATES), *SIGNS)


def _signs(reading: Reading) -> list[bool]:
    text, form = reading.text, reading.form
    words, tokens = text.split(), form.split()
    shouted = sum(len(word) > 2 and word.isupper() for word in words)
    return [
        shouted >= 3,
        shouted > 0.2 * max(len(words), 1),
        reading.spaced,
        reading.digit_letters,
        max(map(len, tokens), default=0) >= 40,
        form.endswith("?"),
        form.endswith(":"),
        len(form) < 60,
        len(form) > 600,
        text.count('"') >= 2,
        text.count("!") >= 3,
        "you" in tokens,
        "your" in tokens,
        "i" in tokens,
        not form.isascii(),
    ]


def _letter_grams(text: str) -> Buckets:
    codes = np.frombuffer(f" {text} ".encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
    spaces = np.concatenate([[0], np.cumsum(codes == _SPACE)])
    grams, rolled = [], codes
    for length in range(2, max(LETTERS) + 1):
        if len(rolled) < 2:
            break
        rolled = rolled[:-1] * _FACTOR + codes[length - 1 :]
        if length in LETTERS:
            count = len(rolled)
            inner = spaces[length - 1 : length - 1 + count] - spaces[1 : 1 + count]
            grams.append(_buckets(rolled[inner == 0], length))
    return _different(grams)


def _word_grams(text: str) -> Buckets:
    words = _WORD.findall(text)
    hashes = np.fromiter((zlib.crc32(word.encode("utf-8", "replace")) for word in words), np.uint64, len(words))
    grams = [_buckets(hashes, 101)]
    for gap in range(1, GAP + 1):
        if len(hashes) > gap:
            pairs = hashes[:-gap] * _FACTOR + hashes[gap:] * _SECOND
            grams.append(_buckets(pairs, 102 if gap == 1 else 103))
    if len(hashes) > 2:
        grams.append(_buckets((hashes[:-2] * _FACTOR + hashes[1:-1]) * _FACTOR + hashes[2:], 104))
    return _different(grams)


def _different(grams: list[Buckets]) -> Buckets:
    """Each bucket once, in order."""
    seen = np.zeros(BUCKETS, np.bool_)
    for buckets in grams:
        seen[buckets] = True
    return np.flatnonzero(seen)


def _buckets(hashes: Hashes, kind: int) -> Buckets:
    mixed = (hashes ^ np.uint64(kind)) * _FACTOR
    mixed ^= mixed >> _SHIFT
    return ((mixed * _SECOND) >> _TOP).astype(np.int64)
