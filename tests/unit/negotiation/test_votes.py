"""Revisions count when they have grounds."""

import pytest

from domain.proposal import Option
from domain.task_type import StrategySpec
from negotiation.rounds import resolve

PANEL = ["ann", "bob", "cyd"]
POOL = StrategySpec(name="confidence_weighted")
LIMITED = Option(name="limited", action="approve", arguments={"limit": 500})


@pytest.fixture
def blind(vote):
    return [vote("ann", "approve", 0.6), vote("bob", "decline", 0.9), vote("cyd", "decline", 0.5)]


def counted(result, persona):
    return next((w.option, w.weight) for w in result.weights if w.persona == persona)


@pytest.mark.parametrize(
    ("grounds", "expected"),
    [
        ({}, ("decline", 0.9)),
        ({"cites": ("field:ann",)}, ("approve", 0.7)),
        ({"cites": ("field:bob",)}, ("decline", 0.9)),
        ({"cites": ("field:nowhere",)}, ("decline", 0.9)),
        ({"named_error": "I read the income per year"}, ("approve", 0.7)),
        ({"named_error": " "}, ("decline", 0.9)),
    ],
)
def test_a_revision_needs_others_evidence_or_a_named_error(vote, options, blind, grounds, expected):
    second = [vote("ann", "approve", 0.6, 1), vote("bob", "approve", 0.7, 1, **grounds), vote("cyd", "decline", 0.5, 1)]
    result = resolve(POOL, options, PANEL, [blind, second])
    assert counted(result, "bob") == expected
    source = next(w.source for w in result.weights if w.persona == "bob")
    assert ("cites no new evidence" in source) == (expected[0] == "decline")


def test_evidence_of_the_same_round_is_not_on_the_table_yet(vote, options, blind):
    second = [vote("cyd", "decline", 0.5, 1), vote("bob", "approve", 0.7, 1, cites=("field:new",))]
    extra = vote("ann", "approve", 0.6, 1).model_copy(
        update={"evidence": (vote("new", "approve").evidence[0],)},
    )
    result = resolve(POOL, options, PANEL, [blind, [extra, *second]])
    assert counted(result, "bob") == ("decline", 0.9)


def test_more_confidence_is_a_revision_too(vote, options, blind):
    result = resolve(POOL, options, PANEL, [blind, [vote("ann", "approve", 1.0, 1), *blind[1:]]])
    assert counted(result, "ann") == ("approve", 0.6)


def test_after_a_revision_with_grounds_the_next_without_keeps_it(vote, options, blind):
    second = [vote("bob", "approve", 0.7, 1, cites=("field:ann",)), blind[0], blind[2]]
    third = [vote("bob", "decline", 0.99, 2), blind[0], blind[2]]
    assert counted(resolve(POOL, options, PANEL, [blind, second, third]), "bob") == ("approve", 0.7)


def test_an_abstention_needs_no_grounds_and_can_be_taken_back(vote, options, blind):
    second = [*blind[:1], vote("bob", None, 0.0, 1), blind[2]]
    assert counted(resolve(POOL, options, PANEL, [blind, second]), "bob") == (None, 0.0)
    assert counted(resolve(POOL, options, PANEL, [blind, second, blind]), "bob") == ("decline", 0.9)


def test_all_vote_again_on_a_counter_proposal(vote, options):
    wide = (*options, LIMITED)
    first = [vote("ann", "approve", counter=LIMITED), vote("bob", "decline"), vote("cyd", "decline")]
    second = [vote(name, "limited", 0.8, 1) for name in PANEL]
    result = resolve(POOL, wide, PANEL, [first, second])
    assert (result.option, result.margin) == ("limited", 1.0)


def test_an_option_cannot_be_voted_for_before_it_was_proposed(vote, options):
    wide = (*options, LIMITED)
    first = [vote("ann", "limited"), vote("bob", "decline"), vote("cyd", "decline")]
    second = [vote("ann", "approve", round=1, counter=LIMITED)]
    assert resolve(POOL, wide, PANEL, [first]).option == "decline"
    early = resolve(POOL, wide, PANEL, [first, second])
    assert counted(early, "ann") == ("approve", 0.8)


def test_at_the_deadline_the_last_valid_vote_counts(vote, options, blind):
    late = [vote("ann", "approve", 0.6, 1, cites=("field:bob",))]
    assert resolve(POOL, options, PANEL, [blind, late]).kind == "no_quorum"
    result = resolve(POOL, options, PANEL, [blind, late], overdue=True)
    assert (result.kind, result.option, result.present) == ("decided", "decline", 3)
    assert "last valid vote before the deadline" in result.weights[1].source
