import math
import subprocess
import sys

from memory.embedding import DIMENSIONS, embed


def test_unit_vectors_that_do_not_depend_on_the_batch():
    alone, together = embed(["home: rent"]), embed(["home: rent", "a longer text " * 40])
    assert alone[0] == together[0]
    assert len(alone[0]) == DIMENSIONS
    assert math.isclose(sum(value * value for value in alone[0]), 1.0, rel_tol=1e-6)


def test_a_text_without_tokens_is_all_zeros():
    assert embed([""]) == [[0.0] * DIMENSIONS]
    assert embed([]) == []


def test_similar_texts_are_closer():
    rent, flat, ship = embed(["rented apartment", "a flat for rent", "container ship at sea"])

    def dot(left, right):
        return sum(a * b for a, b in zip(left, right, strict=True))

    assert dot(rent, flat) > dot(rent, ship)


def test_loading_leaves_the_root_logger_alone():
    script = (
        "import logging; from memory.embedding import embed; embed(['x']); root = logging.getLogger();"
        "raise SystemExit(len(root.handlers) or root.level != logging.WARNING)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
