"""Fits weights to texts, so that no source has its way by its size or its repetitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from guardrails.injection.features import BUCKETS, SCALE, Buckets, Features, features
from guardrails.injection.reading import readings
from guardrails.training.corpora import Text

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NEAR = 0.6
"""Cosine of words and pairs of words from which two texts count as the same."""


@dataclass(frozen=True, slots=True)
class Design:
    """What may be tuned. The values are those that did best, source by source, on the other sources."""

    strength: float = 0.3
    """Inverse of the penalty (C)."""
    own_share: float = 0.7
    """Of the total weight, that of our own texts."""
    size_power: float = 0.5
    """A source weighs as its size to this power."""


class Window(NamedTuple):
    """One window of a text."""

    text: int
    """Which."""
    seen: Features


class Weights(NamedTuple):
    """A fitted model."""

    letters: Floats
    words: Floats
    facts: Floats
    bias: float


class Prepared:
    """Texts with what the model sees of them; many fits share it."""

    def __init__(self, texts: Sequence[Text]) -> None:
        self.texts = texts
        windows = [Window(at, features(one)) for at, text in enumerate(texts) for one in readings(text.text)]
        self.of: NDArray[np.int64] = np.array([window.text for window in windows])
        """Window -> text."""
        self.labels: NDArray[np.int64] = np.array([text.label for text in texts])
        self.groups = np.array([text.group for text in texts])
        self.sources = np.array([text.source for text in texts])
        words = _matrix([window.seen.words for window in windows])
        facts = csr_matrix(np.stack([window.seen.facts for window in windows]))
        letters = _matrix([window.seen.letters for window in windows])
        self.matrix: csr_matrix = hstack([letters * SCALE, words * SCALE, facts]).tocsr()
        self.near: csr_matrix = _near(words, self.of, len(texts))
        self.twins: Floats = np.asarray(self.near.sum(axis=1)).ravel()
        """How many texts are nearly the same as each, itself among them."""

    def like(self, mask: Mask) -> Mask:
        """Texts that are nearly the same as one of the masked."""
        return np.asarray(self.near[:, mask].sum(axis=1)).ravel() > 0

    def scores(self, weights: Weights) -> Floats:
        """Log odds of each text: those of its highest window."""
        flat = np.concatenate([weights.letters, weights.words, weights.facts])
        odds = self.matrix @ flat + weights.bias
        highest = np.full(len(self.texts), -np.inf)
        np.maximum.at(highest, self.of, odds)
        return highest


def fit(prepared: Prepared, mask: Mask, own: Prepared, design: Design) -> Weights:
    """Weights from the masked texts and our own."""
    chosen = mask[prepared.of]
    per_text = _weights(prepared, mask, design)
    per_window = _spread(per_text, prepared.of)[chosen]
    per_own = _spread(_balanced(np.ones(len(own.texts)), own.labels), own.of)
    weights = np.concatenate(
        [(1.0 - design.own_share) * per_window / per_window.sum(), design.own_share * per_own / per_own.sum()]
    )
    rows = _stacked(prepared.matrix[chosen], own.matrix)
    labels = np.concatenate([prepared.labels[prepared.of][chosen], own.labels[own.of]])
    model = LogisticRegression(C=design.strength, max_iter=200, tol=1e-3)
    model.fit(rows, labels, sample_weight=weights * len(per_text))
    flat = model.coef_[0]
    return Weights(flat[:BUCKETS], flat[BUCKETS : 2 * BUCKETS], flat[2 * BUCKETS :], float(model.intercept_[0]))


def _weights(prepared: Prepared, mask: Mask, design: Design) -> Floats:
    """Each text's weight: repetitions share one, sources weigh by their size's power, both labels the same in all."""
    weights = np.where(mask, 1.0 / prepared.twins, 0.0)
    for source in np.unique(prepared.sources[mask]):
        of_source = mask & (prepared.sources == source)
        weights[of_source] *= weights[of_source].sum() ** (design.size_power - 1.0)
    return _balanced(weights, prepared.labels)


def _balanced(weights: Floats, labels: NDArray[np.int64]) -> Floats:
    balanced = weights.copy()
    for label in (0, 1):
        balanced[labels == label] /= weights[labels == label].sum()
    return balanced


def _spread(per_text: Floats, of: NDArray[np.int64]) -> Floats:
    """A text's weight over its windows."""
    shares: Floats = per_text[of] / np.bincount(of)[of]
    return shares


def _stacked(upper: csr_matrix, lower: csr_matrix) -> csr_matrix:
    data = np.concatenate([upper.data, lower.data])
    indices = np.concatenate([upper.indices, lower.indices])
    ends = np.concatenate([upper.indptr, lower.indptr[1:] + upper.indptr[-1]])
    return csr_matrix((data, indices, ends), shape=(upper.shape[0] + lower.shape[0], upper.shape[1]))


def _matrix(rows: Sequence[Buckets]) -> csr_matrix:
    lengths = np.array([len(row) for row in rows])
    data = np.repeat(1.0 / np.sqrt(np.maximum(lengths, 1)), lengths)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return csr_matrix((data, np.concatenate(rows), ends), shape=(len(rows), BUCKETS))


def _near(words: csr_matrix, of: NDArray[np.int64], texts: int) -> csr_matrix:
    """1 where two texts have a window each that are nearly the same."""
    alike = (words @ words.T).tocoo()
    close = alike.data >= NEAR
    pairs = csr_matrix((np.ones(int(close.sum())), (of[alike.row[close]], of[alike.col[close]])), shape=(texts, texts))
    pairs.data[:] = 1.0
    return pairs
