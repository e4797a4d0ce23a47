"""When a negotiation goes on, ends, or asks a person."""

import pytest

from domain.task_type import StrategySpec
from negotiation.rounds import next_step, resolve

PANEL = ["ann", "bob"]


def step(spec, options, rounds, widened=False, overdue=False, panel=PANEL):
    return next_step(spec, options, widened, rounds, resolve(spec, options, panel, rounds), overdue)


def spec_of(rounds=3, **more):
    return StrategySpec(name="plurality", rounds=rounds, **more)


@pytest.fixture
def tie(vote):
    return [vote("ann", "approve"), vote("bob", "decline")]


@pytest.fixture
def agreed(vote):
    return [vote("ann", "approve"), vote("bob", "approve")]


def test_a_unanimous_blind_round_decides_at_once(options, agreed):
    assert step(spec_of(escalate_below=0.9), options, [agreed]).go == "decided"


def test_a_decision_stands_at_the_limit_and_the_deadline(options, agreed):
    assert step(spec_of(rounds=1), options, [agreed], overdue=True).go == "decided"


def test_a_widened_round_is_voted_on_again(options, agreed):
    assert step(spec_of(), options, [agreed], widened=True).go == "again"
    assert step(spec_of(rounds=1), options, [agreed], widened=True).go == "escalate"


def test_a_stalemate_goes_on_while_rounds_remain(options, tie):
    assert step(spec_of(rounds=2), options, [tie]).go == "again"
    end = step(spec_of(rounds=1), options, [tie])
    assert (end.go, "round limit of 1" in end.reason) == ("escalate", True)


def test_below_the_threshold_goes_on(vote, options):
    given = [vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "decline")]
    assert step(spec_of(escalate_below=0.5), options, [given], panel=["ann", "bob", "cyd"]).go == "again"


def test_no_changed_vote_ends_it(options, tie):
    end = step(spec_of(), options, [tie, tie])
    assert (end.go, "no vote that counts has changed" in end.reason) == ("escalate", True)


def test_a_revision_without_grounds_is_no_change(vote, options, tie):
    assert step(spec_of(), options, [tie, [vote("ann", "decline", round=1), vote("bob", "approve", round=1)]]).go == (
        "escalate"
    )


def test_votes_seen_before_are_a_stalemate(vote, options, tie):
    cites = {"ann": ("field:bob",), "bob": ("field:ann",)}
    swapped = [vote("ann", "decline", round=1, cites=cites["ann"]), vote("bob", "approve", round=1, cites=cites["bob"])]
    back = [vote("ann", "approve", round=2, cites=cites["ann"]), vote("bob", "decline", round=2, cites=cites["bob"])]
    assert step(spec_of(rounds=5), options, [tie, swapped]).go == "again"
    end = step(spec_of(rounds=5), options, [tie, swapped, back])
    assert (end.go, "stalemate: the votes are those of round 0 again" in end.reason) == ("escalate", True)


def test_the_deadline_ends_it(options, tie):
    end = step(spec_of(), options, [tie], overdue=True)
    assert (end.go, "deadline" in end.reason) == ("escalate", True)


def test_no_quorum_asks_a_person(vote, options):
    assert step(spec_of(), options, [[vote("ann", "approve")]]).go == "escalate"


def test_a_veto_asks_a_person_unless_a_counter_proposal_is_there(vote, options):
    given = [vote("ann", "approve"), vote("bob", "approve", veto="approve")]
    assert step(spec_of(), options, [given]).go == "escalate"
    assert step(spec_of(), options, [given], widened=True).go == "again"


def test_a_safe_default_is_named_on_a_stalemate_only(vote, options, tie):
    assert "safe default is decline" in step(spec_of(rounds=1, safe_default="decline"), options, [tie]).reason
    quorum = step(spec_of(rounds=1, safe_default="decline"), options, [[vote("ann", "approve")]])
    assert "safe default" not in quorum.reason


def test_a_panel_of_one_has_nobody_to_hear(vote, options):
    spec = spec_of(min_casting=1)
    end = step(spec, options, [[vote("ann", "approve", 0.0)]], panel=["ann"])
    assert end.go == "decided"
    pool = StrategySpec(name="confidence_weighted", min_casting=1, rounds=3)
    assert step(pool, options, [[vote("ann", "approve", 0.0)]], panel=["ann"]).go == "escalate"
