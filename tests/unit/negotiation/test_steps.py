"""When a negotiation goes on, ends, or asks a person."""

import pytest

from domain.task_type import StrategySpec
from negotiation.learned import Learned
from negotiation.rounds import Terms, next_step, resolve

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
    assert (end.go, "stalemate: the votes are those of an earlier round again" in end.reason) == ("escalate", True)


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
    assert "the safe default decline is taken" in step(spec_of(rounds=1, safe_default="decline"), options, [tie]).reason
    quorum = step(spec_of(rounds=1, safe_default="decline"), options, [[vote("ann", "approve")]])
    assert "safe default" not in quorum.reason


def test_a_panel_of_one_has_nobody_to_hear(vote, options):
    spec = spec_of(min_casting=1)
    end = step(spec, options, [[vote("ann", "approve", 0.0)]], panel=["ann"])
    assert end.go == "decided"
    pool = StrategySpec(name="confidence_weighted", min_casting=1, rounds=3)
    assert step(pool, options, [[vote("ann", "approve", 0.0)]], panel=["ann"]).go == "escalate"


@pytest.mark.parametrize(
    ("order", "limit", "go", "option"),
    [
        (("round", "safe_default", "human"), 2, "again", None),
        (("round", "safe_default", "human"), 1, "decided", "decline"),
        (("safe_default", "round"), 2, "decided", "decline"),
        (("round", "human", "safe_default"), 1, "escalate", None),
        (("human",), 2, "escalate", None),
        ((), 2, "escalate", None),
    ],
)
def test_the_ways_out_of_a_stalemate_are_tried_in_their_order(options, tie, order, limit, go, option):
    taken = step(spec_of(rounds=limit, safe_default="decline", stalemate=order), options, [tie])
    assert (taken.go, taken.option) == (go, option)


def test_without_a_safe_default_its_place_in_the_order_is_passed_over(options, tie):
    assert step(spec_of(stalemate=("safe_default", "round")), options, [tie]).go == "again"


@pytest.fixture
def swinging(vote):
    """Approve leads by 2 to 1 in each of three rounds, and the last one's votes are the first one's."""

    def given(round, one, other):
        cited = {"round": round, "named_error": "misread"}
        return [vote("ann", one, **cited), vote("bob", other, **cited), vote("cyd", "approve", **cited)]

    return [given(0, "approve", "decline"), given(1, "decline", "approve"), given(2, "approve", "decline")]


def test_an_oscillation_is_a_stalemate_and_takes_the_safe_default(options, swinging):
    spec = spec_of(rounds=5, escalate_below=0.9, safe_default="decline")
    taken = step(spec, options, swinging, panel=["ann", "bob", "cyd"])
    assert (taken.go, taken.option) == ("decided", "decline")


@pytest.mark.parametrize(
    "fields", [{"name": "plurality", "certify": {}}, {"name": "calibrated_pool"}, {"name": "log_odds"}]
)
def test_what_a_certificate_refused_goes_to_a_person_though_it_oscillates(options, swinging, fields):
    spec = StrategySpec.model_validate({**fields, "rounds": 5, "safe_default": "decline"})
    taken = step(spec, options, swinging, panel=["ann", "bob", "cyd"])
    assert (taken.go, taken.option) == ("escalate", None)
    assert taken.reason.endswith("stalemate: the votes are those of an earlier round again")


def test_a_tie_takes_the_safe_default_under_a_certificate_too(options, tie):
    spec = StrategySpec.model_validate({"name": "plurality", "certify": {}, "rounds": 1, "safe_default": "decline"})
    taken = step(spec, options, [tie])
    assert (taken.go, taken.option) == ("decided", "decline")


@pytest.mark.parametrize(("pays", "go"), [(True, "again"), (None, "again"), (False, "escalate")])
def test_automatic_rounds_do_not_debate_where_it_does_not_pay(options, tie, pays, go):
    spec = StrategySpec.model_validate({"name": "plurality", "rounds": "auto"})
    terms = Terms(Learned(version=1, rates={}, mean_rate=0.6, debate_pays=pays))
    result = resolve(spec, options, PANEL, [tie], terms=terms)
    taken = next_step(spec, options, False, [tie], result, False, terms)
    assert taken.go == go
    assert ("debate was seen not to pay" in taken.reason) == (pays is False)


def test_a_fixed_number_of_rounds_is_held_whatever_debate_was_worth(options, tie):
    terms = Terms(Learned(version=1, rates={}, mean_rate=0.6, debate_pays=False))
    spec = spec_of(rounds=2)
    assert next_step(spec, options, False, [tie], resolve(spec, options, PANEL, [tie]), False, terms).go == "again"
