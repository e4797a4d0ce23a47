"""What an erasure left counts as what it was; nothing else does."""

import pytest

from domain.audit import hash_of
from domain.erasures import Erasures

PLACE = ("decisions", "s", "body")
WAS, SWEPT, BLANK = {"a": "Ann"}, {"a": "erased", "erased": "1"}, {"erased": "1"}


def erasures(*steps):
    found = Erasures()
    for seq, was, left in steps:
        found.add(seq, {"decisions": {"s": {"body": [hash_of(was), hash_of(left)]}}})
    return found


def test_what_an_erasure_left_has_the_hash_that_was():
    found = erasures((5, WAS, SWEPT))
    assert found.hash_of(*PLACE, SWEPT, since=3) == hash_of(WAS)
    assert found.left(*PLACE, SWEPT)


def test_a_second_erasure_goes_on_from_the_first():
    found = erasures((5, WAS, SWEPT), (9, SWEPT, BLANK))
    assert found.hash_of(*PLACE, BLANK, since=3) == hash_of(WAS)
    # Stated in between, as the first had left it.
    assert found.hash_of(*PLACE, BLANK, since=7) == hash_of(SWEPT)
    assert found.hash_of(*PLACE, BLANK, since=10) == hash_of(BLANK)
    assert not found.left(*PLACE, SWEPT)


def test_anything_else_is_what_it_is():
    found = erasures((5, WAS, SWEPT))
    for value in (BLANK, {**SWEPT, "b": 1}, {"erased": None}, "erased:x", None):
        assert found.hash_of(*PLACE, value) == hash_of(value)
        assert not found.left(*PLACE, value)
    assert found.hash_of("decisions", "t", "body", SWEPT) == hash_of(SWEPT)
    assert erasures((5, WAS, SWEPT), (9, BLANK, WAS)).hash_of(*PLACE, WAS) == hash_of(WAS)


@pytest.mark.parametrize(
    "named",
    [
        None,
        [],
        {"decisions": 7},
        {"decisions": {"s": {"body": hash_of(WAS)}}},
        {"decisions": {"s": {"body": ["x", "y"]}}},
    ],
)
def test_what_names_nothing_says_nothing(named):
    found = Erasures()
    found.add(5, named)
    assert not found.left(*PLACE, SWEPT)
