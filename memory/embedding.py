"""Texts as vectors, by a small model whose weights come with its package."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MODEL = "wordllama"
DIMENSIONS = 256

_lock = threading.Lock()
_loaded: list[Any] = []


def embed(texts: Sequence[str]) -> list[list[float]]:
    """One unit vector of DIMENSIONS floats a text; all zeros for a text without tokens. Deterministic."""
    model = _model()
    # One text at a time: a vector must not depend on which texts it shared a batch with.
    return [_unit(model.embed([text])[0].tolist()) for text in texts]


def _model() -> Any:
    with _lock:
        if not _loaded:
            _loaded.append(_load())
        return _loaded[0]


def _load() -> Any:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    # Imported late, because the import alone takes the root logger over; it is given back.
    import wordllama

    root.handlers[:] = handlers
    root.setLevel(level)
    # A plain load() would look for weights on the network.
    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)


def _unit(vector: list[float]) -> list[float]:
    length = sum(value * value for value in vector) ** 0.5
    return [value / length for value in vector] if length > 0 else [0.0] * DIMENSIONS
