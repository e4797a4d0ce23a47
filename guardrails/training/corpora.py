"""Corpora to train and to measure with: CSV files with the columns text, label and source."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from domain.errors import InputError

FILES = {"attacks": 1, "benign": 0, "hard_benign": 0}
"""Files that are read, with the label that their rows must have. Harmful requests are no injections: another matter."""
HARD = "hard_benign"
RELATED = {
    "garak_latent_clean": "garak_latent",
    "langkit_themes": "langkit",
    "langkit_chats": "langkit",
    "self_instruct_seed": "self_instruct",
    "self_instruct_user": "self_instruct",
}
"""Source -> the group that is left out together with it: the same documents, or the same hand."""
INDIRECT = frozenset({"garak_latent"})
"""Attack sources whose instructions hide in a document."""


class Text(NamedTuple):
    """A text of a corpus."""

    text: str
    label: int
    """1: an attack."""
    source: str
    hard: bool = False
    """Benign, and looks like an attack."""

    @property
    def group(self) -> str:
        """What is left out with it."""
        return RELATED.get(self.source, self.source)


def read_corpora(folder: Path) -> list[Text]:
    """Every text of the folder's FILES. Raises InputError that names file and line."""
    found = [text for name in FILES for text in _read(folder / f"{name}.csv", name)]
    if {text.label for text in found} != {0, 1}:
        raise InputError(f"{folder}: no attacks, or no benign texts: expected {', '.join(FILES)} as .csv")
    return found


def _read(path: Path, name: str) -> Sequence[Text]:
    found = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            for row in rows:
                if any(row.get(column) is None for column in ("text", "label", "source")):
                    raise InputError(f"{path}: line {rows.line_num}: expected the columns text, label and source")
                if row["label"] != str(FILES[name]):
                    raise InputError(f"{path}: line {rows.line_num}: label {row['label']!r}, expected {FILES[name]}")
                found.append(Text(row["text"], FILES[name], row["source"], hard=name == HARD))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"{path}: cannot be read: {problem}") from None
    return found
