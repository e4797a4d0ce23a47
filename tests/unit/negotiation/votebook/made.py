"""Votes made up for the tests: nobody's data."""

import csv
import random
from collections.abc import Sequence
from io import StringIO

from negotiation.votebook.reading import Votebook, read_votes

HEADER = ("item", "annotator", "label", "confidence", "gold")
Row = tuple[str, str, str, str, str]


def dense(
    items: int = 120, rates: Sequence[float] = (0.9, 0.7, 0.6), labels: Sequence[str] = ("x", "y", "z"), seed: int = 1
) -> list[Row]:
    """Everyone votes on everything, right at its own rate; confidences say little, and some are missing."""
    draw = random.Random(seed)
    rows: list[Row] = []
    for item in range(items):
        gold = draw.choice(labels)
        for number, rate in enumerate(rates):
            right = draw.random() < rate
            label = gold if right else draw.choice([one for one in labels if one != gold] or [gold])
            confidence = "" if draw.random() < 0.3 else f"{draw.uniform(0.5, 0.99 if right else 0.9):.3f}"
            rows.append((f"i{item}", f"a{number}", label, confidence, gold))
    return rows


def as_csv(rows: Sequence[Row], end: str = "\n") -> str:
    """The rows as a file."""
    made = StringIO(newline="")
    writer = csv.writer(made, lineterminator=end)
    writer.writerows((HEADER, *rows))
    return made.getvalue()


def book(rows: Sequence[Row]) -> Votebook:
    """The rows, read."""
    return read_votes(StringIO(as_csv(rows), newline=""))
