"""What a leader is held to, by hand."""

import pytest

from domain.task_type import StrategySpec
from negotiation.strategy import Count
from negotiation.thresholds import has_margin, has_score, has_share, opposition, within
from negotiation.votes import Ballot, Veto, Vote


def counted(**given):
    return Count(**{"tally": {}, "weights": (), "leader": "a", "margin": 0.5, "share": 0.5, **given})


def test_what_is_reached_to_the_last_digit_is_reached():
    assert has_margin(counted(margin=0.3), 0.1 + 0.2)
    assert not has_margin(counted(margin=0.3), 0.301)
    assert has_share(counted(share=0.3), 0.1 + 0.2)
    assert not has_share(counted(share=0.3, lacks="2 of 3 votes"), 0.3)


def test_a_certified_threshold_is_exact():
    assert has_score(counted(posterior={"a": 0.95}), 0.95)
    assert not has_score(counted(posterior={"a": 0.95 - 1e-12}), 0.95)
    assert not has_score(counted(posterior={"a": 1.0}), None)


@pytest.mark.parametrize(("stake", "met"), [(99.0, True), (100.0, True), (100.01, False), (None, False)])
def test_the_stake(stake, met):
    assert within(stake, 100.0) is met


@pytest.mark.parametrize(("share", "needed", "blocks"), [(None, None, False), ("1/4", 1, True), ("1/2", 2, False)])
def test_who_stands_against_the_leader(share, needed, blocks):
    votes = [Vote(name, option, 0.5, 0) for name, option in zip("wxyz", ("a", "b", None, "a"), strict=True)]
    ballot = Ballot(tuple(votes), (Veto("z", "a"), Veto("w", "b")), (), tuple("wxyz"), 0)
    found = opposition(StrategySpec(name="plurality", blocking_minority=share), "a", ballot)
    assert (found.vetoed_by, found.against, found.present) == (("z",), ("x",), 4)
    assert (found.needed, found.minority) == (needed, blocks)
