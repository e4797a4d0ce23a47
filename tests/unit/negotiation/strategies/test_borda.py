"""Points by rank, checked against points that are given out one by one."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d")
orders = st.permutations(NAMES).flatmap(lambda all_: st.integers(0, 4).map(lambda length: tuple(all_[:length]) or None))


def points_one_by_one(said):
    points = dict.fromkeys(NAMES, Fraction(0))
    for order in said:
        left = list(range(len(NAMES)))
        for option in order or ():
            points[option] += left.pop()
        rest = [option for option in NAMES if order is not None and option not in order]
        for option in rest:
            points[option] += Fraction(sum(left), len(rest))
    return points


@settings(deadline=None)
@given(said=st.lists(orders, max_size=9))
def test_every_rank_gets_its_points(votes, count, said):
    found = count("borda", votes(*said), NAMES)
    expected = points_one_by_one(said)
    assert {option: Fraction(score) for option, score in found.tally.items()} == expected
    ahead = sorted(expected.values(), reverse=True)
    casting = sum(order is not None for order in said)
    assert (found.leader is not None) == (casting > 0 and ahead[0] > ahead[1])
    if found.leader is not None:
        assert found.margin == pytest.approx(float((ahead[0] - ahead[1]) / (3 * casting)), abs=1e-12)
        assert found.share == pytest.approx(float(ahead[0] / (6 * casting)), abs=1e-12)
        assert found.margin <= 4 / 6


def test_a_compromise_beats_the_most_first_places(votes, count):
    said = votes(*["abc"] * 3, *["bca"] * 2, *["cba"] * 2)
    assert count("plurality", said).leader == "a"
    assert count("borda", said).leader == "b"


def test_options_that_are_not_ranked_share_what_is_left(votes, count):
    assert count("borda", votes("a")).tally == {"a": 2.0, "b": 0.5, "c": 0.5}


def test_with_two_options_the_margin_is_that_of_plurality(votes, count):
    said = votes("a", "a", "ab", "ba", "b")
    assert count("borda", said, "ab").margin == count("plurality", said, "ab").margin == pytest.approx(1 / 5)


def test_a_vote_that_left_its_ranking_behind_counts_as_a_first_place_alone(votes, count):
    (vote,) = votes("abc")
    moved = type(vote)(vote.persona, "b", vote.confidence, 0, "", vote.ranking)
    assert count("borda", [moved]).tally == {"a": 0.5, "b": 2.0, "c": 0.5}


def test_the_ends(votes, count):
    nobody = count("borda", votes(None, None))
    assert (nobody.leader, nobody.level, nobody.margin, nobody.share, nobody.weights) == (
        None,
        (),
        0.0,
        0.0,
        (0.0, 0.0),
    )
    single = count("borda", votes("a"), "a")
    assert (single.leader, single.margin, single.share) == ("a", 1.0, 1.0)
    assert count("borda", votes("abc", "bac")).level == ("a", "b")
