"""All votes that were cast."""

import pytest


@pytest.mark.parametrize(
    ("said", "lacks"),
    [
        (("a", "a", "a"), None),
        (("a", None, "a"), None),
        (("a", "a", "b"), "2 of 3 votes; all are needed"),
    ],
)
def test_the_leader_needs_every_vote_cast(votes, count, said, lacks):
    found = count("unanimity", votes(*said))
    assert (found.leader, found.lacks) == ("a", lacks)


def test_one_against_one_is_a_tie(votes, count):
    assert count("unanimity", votes("a", "b")).level == ("a", "b")
