"""Quorum, rejection, ties, vetoes and thresholds."""

import math

import pytest

from domain.decision import ResultKind
from domain.proposal import Proposal
from domain.task_type import StrategySpec
from negotiation.rounds import resolve

PANEL = ["ann", "bob", "cyd"]
PLURALITY = StrategySpec(name="plurality")


def bad(vote, persona, option, confidence):
    """A proposal that went around the model's own checks."""
    good = vote(persona, option)
    return Proposal.model_construct(**{**dict(good), "confidence": confidence})


def test_most_votes_win(vote, options):
    result = resolve(
        PLURALITY, options, PANEL, [[vote("ann", "approve"), vote("bob", "decline"), vote("cyd", "approve")]]
    )
    assert (result.kind, result.option, result.tally["approve"]) == (ResultKind.DECIDED, "approve", 2.0)
    assert result.margin == pytest.approx(1 / 3)
    assert result.dissent == ("bob",)
    assert (result.present, result.casting, result.eligible) == (3, 3, 3)


@pytest.mark.parametrize("confidence", [math.nan, math.inf, -0.01, 1.01, "0.5", True, None])
def test_a_confidence_outside_its_range_is_rejected_and_absent(vote, options, confidence):
    given = [vote("ann", "approve"), vote("bob", "approve"), bad(vote, "cyd", "decline", confidence)]
    result = resolve(PLURALITY, options, PANEL, [given])
    assert result.present == 2
    assert result.tally["decline"] == 0.0
    assert result.rejected == (f"cyd: confidence {confidence} is not in [0, 1]",)


def test_two_votes_from_one_persona_are_both_rejected(vote, options):
    given = [vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "approve"), vote("cyd", "decline")]
    result = resolve(PLURALITY, options, PANEL, [given])
    assert (result.present, result.tally["approve"], result.tally["decline"]) == (2, 2.0, 0.0)
    assert result.rejected == ("cyd: 2 votes in one round",) * 2


def test_unknown_options_and_strangers_are_rejected(vote, options):
    given = [vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "burn"), vote("eve", "decline")]
    result = resolve(PLURALITY, options, PANEL, [given])
    assert result.present == 2
    assert result.rejected == ("cyd: unknown option 'burn'", "eve: not on the panel")


@pytest.mark.parametrize(("present", "kind"), [(1, "no_quorum"), (2, "decided"), (3, "decided")])
def test_two_thirds_of_three_is_exactly_two(vote, options, present, kind):
    spec = StrategySpec(name="plurality", min_casting=1)
    result = resolve(spec, options, PANEL, [[vote(name, "approve") for name in PANEL[:present]]])
    assert result.kind == kind


def test_abstentions_are_present_and_do_not_cast(vote, options):
    given = [vote("ann", "approve"), vote("bob", None), vote("cyd", None)]
    result = resolve(PLURALITY, options, PANEL, [given])
    assert result.kind is ResultKind.NO_QUORUM
    assert (result.present, result.casting) == (3, 1)
    assert "at least 2 must" in result.reason


def test_nobody_is_no_quorum(options):
    assert resolve(PLURALITY, options, PANEL, [[]]).kind is ResultKind.NO_QUORUM
    assert resolve(PLURALITY, options, [], [[]]).kind is ResultKind.NO_QUORUM


def test_no_round_is_a_mistake(options):
    with pytest.raises(ValueError, match="at least one round"):
        resolve(PLURALITY, options, PANEL, [])


@pytest.mark.parametrize(("other", "kind"), [(0.5, "stalemate"), (0.5 + 5e-10, "stalemate"), (0.5 + 5e-9, "decided")])
def test_scores_within_the_tie_distance_are_a_stalemate(vote, options, other, kind):
    spec = StrategySpec(name="confidence_weighted")
    result = resolve(spec, options, PANEL, [[vote("ann", "approve", 0.5), vote("bob", "decline", other)]])
    assert result.kind == kind
    if kind == "stalemate":
        assert (result.option, result.margin, result.dissent) == (None, 0.0, ())


def test_a_veto_blocks_what_would_have_won(vote, options):
    given = [vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "decline", veto="approve")]
    result = resolve(PLURALITY, options, PANEL, [given])
    assert (result.kind, result.option) == (ResultKind.BLOCKED, None)
    assert "vetoed by cyd" in result.reason
    assert result.tally == {"approve": 2.0, "decline": 1.0, "refer": 0.0}


def test_a_veto_of_a_losing_option_changes_nothing(vote, options):
    given = [vote("ann", "approve"), vote("bob", "approve", veto="decline"), vote("cyd", "decline")]
    assert resolve(PLURALITY, options, PANEL, [given]).kind is ResultKind.DECIDED


@pytest.mark.parametrize("lacking", [{"evidence": ()}, {"rationale": "  "}])
def test_a_veto_without_grounds_is_recorded_and_ignored(vote, options, lacking):
    given = [vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "decline", veto="approve", **lacking)]
    result = resolve(PLURALITY, options, PANEL, [given])
    assert (result.kind, result.present) == (ResultKind.DECIDED, 3)
    assert result.rejected == ("cyd: veto of 'approve' lacks a rationale or evidence",)


def test_a_margin_under_the_threshold_goes_to_a_person(vote, options):
    given = [vote("ann", "approve", 0.6), vote("bob", "decline", 0.4)]
    at = resolve(StrategySpec(name="confidence_weighted", escalate_below=0.2), options, PANEL, [given])
    under = resolve(StrategySpec(name="confidence_weighted", escalate_below=0.21), options, PANEL, [given])
    assert (at.kind, under.kind) == (ResultKind.DECIDED, ResultKind.BELOW_THRESHOLD)
    assert (under.option, under.threshold, under.dissent) == ("approve", 0.21, ("bob",))


@pytest.mark.parametrize(("tau", "kind"), [("2/3", "decided"), (0.67, "below_threshold"), (1, "below_threshold")])
def test_consensus_needs_its_share_of_the_votes_cast(vote, options, tau, kind):
    spec = StrategySpec(name="consensus", parameters={"tau": tau})
    given = [vote("ann", "approve"), vote("bob", "decline"), vote("cyd", "approve")]
    assert resolve(spec, options, PANEL, [given]).kind == kind


def test_consensus_leaves_abstentions_out_of_the_share(vote, options):
    spec = StrategySpec(name="consensus", parameters={"tau": 1.0})
    given = [vote("ann", "approve"), vote("bob", None), vote("cyd", "approve")]
    assert resolve(spec, options, PANEL, [given]).kind is ResultKind.DECIDED


def test_weights_state_their_source(vote, options):
    given = [vote("bob", "approve", 0.7), vote("ann", "approve", 0.6), vote("cyd", None)]
    result = resolve(StrategySpec(name="confidence_weighted"), options, PANEL, [given])
    assert [(item.persona, item.weight, item.source) for item in result.weights] == [
        ("ann", 0.6, "stated confidence, round 0"),
        ("bob", 0.7, "stated confidence, round 0"),
        ("cyd", 0.0, "abstains, round 0"),
    ]
