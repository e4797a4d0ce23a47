"""More than half, never half."""

import pytest

from domain.decision import ResultKind
from domain.task_type import StrategySpec
from negotiation.settle import settle
from negotiation.votes import Ballot


@pytest.mark.parametrize(
    ("said", "lacks"),
    [
        (("a", "a", "b"), None),
        (("a", "a", "b", "c"), "2 of 4 votes; more than half are needed"),
        (("a", "a", "b", None), None),
        (("a", "a", "b", "b", "c", "a", "c"), "3 of 7 votes; more than half are needed"),
        (("a",), None),
    ],
)
def test_the_leader_needs_more_than_half_of_the_votes_cast(votes, count, said, lacks):
    found = count("majority", votes(*said))
    assert (found.leader, found.lacks) == ("a", lacks)
    assert (found.score == 0.0) == (lacks is not None)


def test_half_against_half_is_a_tie(votes, count):
    found = count("majority", votes("a", "a", "b", "b"))
    assert (found.leader, found.level, found.lacks) == (None, ("a", "b"), None)


def test_the_result_says_what_is_lacking(votes):
    cast = tuple(votes("a", "a", "b", "c"))
    ballot = Ballot(cast, (), (), tuple(vote.persona for vote in cast), 0)
    result = settle(StrategySpec(name="majority"), ("a", "b", "c"), ballot)
    assert (result.kind, result.option, result.rule) == (ResultKind.BELOW_THRESHOLD, "a", "majority")
    assert result.reason == "a leads with 2 of 4 votes; more than half are needed"
