"""Fits, calibrates and writes the detector: `python -m guardrails.training.fit --corpora FOLDER`.

Writes model.npz and its card model.json beside the rules (or to --out). Same corpora, same bytes.
"""

import argparse
import hashlib
import io
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from guardrails.injection.features import VERSION
from guardrails.injection.model import AT_FIVE_PERCENT, MODEL, rules_digest
from guardrails.training.corpora import Text, read_corpora
from guardrails.training.fitting import Design, Prepared, Weights, fit
from guardrails.training.measuring import LeftOut, threshold
from guardrails.training.own_texts import SOURCE, own_texts

EACH = 10
"""Texts of each of our templates."""
SEED = 0


def fitted(texts: Sequence[Text], design: Design) -> tuple[bytes, dict[str, Any]]:
    """The file of weights and its card.

    The threshold is set on benign text scored by weights that have not seen its source: scores of text that was
    trained on would promise too much.
    """
    own = own_texts(EACH, SEED)
    prepared, prepared_own = Prepared(texts), Prepared(own)
    unseen = LeftOut(prepared, prepared_own, design).unseen()
    one, five = threshold(unseen, 0.01), threshold(unseen, 0.05)
    weights = fit(prepared, np.ones(len(texts), dtype=np.bool_), prepared_own, design)
    data = packed(weights)
    return data, {
        "features": VERSION,
        "rules": rules_digest(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "offset": round(one, 6),
        "slope": round(math.log((1.0 - AT_FIVE_PERCENT) / AT_FIVE_PERCENT) / max(one - five, 0.1), 6),
        "trained_on": counts([*texts, *own]),
    }


def packed(weights: Weights) -> bytes:
    """The weights as an npz file of plain arrays in half precision; equal weights, equal bytes."""
    file = io.BytesIO()
    np.savez_compressed(
        file,
        letters=weights.letters.astype(np.float16),
        words=weights.words.astype(np.float16),
        facts=weights.facts.astype(np.float32),
        bias=np.float64(weights.bias),
    )
    return file.getvalue()


def counts(texts: Sequence[Text]) -> dict[str, int]:
    """Texts of each source and label."""
    found: dict[str, int] = {}
    for text in texts:
        kind = "attack" if text.label else "hard benign" if text.hard else "benign"
        name = f"{'our own' if text.source == SOURCE else text.source}: {kind}"
        found[name] = found.get(name, 0) + 1
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=MODEL, metavar="FILE.npz")
    given = parser.parse_args(arguments)
    with threadpool_limits(limits=1):
        data, card = fitted(read_corpora(given.corpora), Design())
    given.out.write_bytes(data)
    given.out.with_suffix(".json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"{given.out}: {len(data)} bytes, sha256 {card['sha256']}\n")


if __name__ == "__main__":
    main()
