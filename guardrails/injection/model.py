"""The fitted model: a file of plain numbers beside a card that says what it is, and the score that follows from it."""

import hashlib
import io
import json
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from domain.canonical import digest
from domain.errors import ModelRefused
from domain.model import Frozen
from guardrails.injection import rules
from guardrails.injection.features import BUCKETS, SCALE, VERSION, Buckets, Features, fact_names, features
from guardrails.injection.reading import readings

MODEL = Path(__file__).with_name("model.npz")
THRESHOLD = 0.5
"""Scores are scaled so that at it about one ordinary text in a hundred is mistaken for an injection."""
AT_FIVE_PERCENT = 0.3
"""The score that about five in a hundred reach."""

Floats = NDArray[np.float32]


class Card(Frozen):
    """What is known about a fitted model; `model.json` beside it."""

    features: int
    """Version of the features that it was fitted on."""
    rules: str
    """Digest of the rules that it was fitted on."""
    sha256: str
    """Of the file of weights."""
    offset: float
    """Log odds at which the score is THRESHOLD."""
    slope: float
    """Score = logistic(slope * (log odds - offset))."""
    trained_on: dict[str, int]
    """Texts of each source and kind."""


class Scored(NamedTuple):
    """What the model says of a text."""

    score: float
    """In [0, 1]: that of the window most like an injection."""
    matched: frozenset[str]
    """Rules that this window matches."""


class Model(NamedTuple):
    """Weights, ready to score."""

    card: Card
    letters: Floats
    words: Floats
    facts: Floats
    bias: float

    @property
    def version(self) -> str:
        """Short name of exactly these weights."""
        return self.card.sha256[:12]

    def log_odds(self, seen: Features) -> float:
        """That the window is an injection, before calibration."""
        parts = _weight(self.letters, seen.letters) + _weight(self.words, seen.words)
        return SCALE * parts + float(self.facts @ seen.facts) + self.bias

    def score(self, text: str) -> Scored:
        """The highest of the text's windows. Raises yara.TimeoutError."""
        odds, found = max(
            ((self.log_odds(seen), seen.matched) for seen in map(features, readings(text))), key=lambda one: one[0]
        )
        return Scored(logistic(self.card.slope * (odds - self.card.offset)), found)


def logistic(odds: float) -> float:
    """Without overflow, to six places."""
    bounded = max(-60.0, min(60.0, odds))
    return round(1.0 / (1.0 + math.exp(-bounded)), 6)


def rules_digest() -> str:
    """Changes with every rule."""
    return digest(rules.source())


@cache
def shipped() -> Model:
    """The model in this folder. Raises ModelRefused."""
    return load(MODEL)


def load(path: Path) -> Model:
    """The weights at the path with the card beside them. Raises ModelRefused where they are not what the card says."""
    try:
        card = Card.model_validate(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
        data = path.read_bytes()
    except (OSError, ValueError) as problem:
        raise ModelRefused(f"{path}: the model or its card cannot be read ({type(problem).__name__})") from None
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise ModelRefused(f"{path}: its sha256 is not the card's: it was changed or cut; restore it or fit it again")
    if (card.features, card.rules) != (VERSION, rules_digest()):
        raise ModelRefused(f"{path}: it was fitted on other rules or features: fit it again")
    try:
        model = _model(card, data)
    except (OSError, ValueError, KeyError, BadZipFile):
        raise ModelRefused(f"{path}: holds not arrays of numbers, or not all: fit it again") from None
    sizes = (model.letters.shape, model.words.shape, model.facts.shape)
    if sizes != ((BUCKETS,), (BUCKETS,), (len(fact_names()),)):
        raise ModelRefused(f"{path}: its arrays have the shapes {sizes}: fit it again")
    return model


def _model(card: Card, data: bytes) -> Model:
    # Plain arrays only: a pickled object in the file would be code.
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        letters, words, facts = (arrays[name].astype(np.float32) for name in ("letters", "words", "facts"))
        return Model(card, letters, words, facts, float(arrays["bias"]))


def _weight(weights: Floats, buckets: Buckets) -> float:
    return float(weights[buckets].sum()) / math.sqrt(len(buckets)) if len(buckets) else 0.0
