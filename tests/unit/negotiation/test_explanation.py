"""The explanation says why, and the result follows from it."""

import json

import pytest

from domain.proposal import Evidence
from domain.task_type import StrategySpec
from negotiation.explanation import as_markdown, explain, recompute, stated_reasons
from negotiation.rounds import resolve

PANEL = ["ann", "bob", "cyd"]


def told(spec, options, rounds, overdue=False, panel=PANEL):
    result = resolve(spec, options, panel, rounds, overdue)
    return result, explain(spec, options, panel, rounds, result, "the step's reason", overdue)


@pytest.fixture
def split(vote):
    heavy = vote("cyd", "decline", 0.9, rationale="debt", evidence=(Evidence(id="field:debt", field="debt", value=9),))
    return [vote("ann", "approve", 0.7), vote("bob", "approve", 0.6), heavy]


@pytest.mark.parametrize("name", ["plurality", "consensus", "confidence_weighted"])
@pytest.mark.parametrize("escalate_below", [0.0, 0.5])
def test_the_result_follows_from_the_explanation(options, split, vote, name, escalate_below):
    spec = StrategySpec(name=name, escalate_below=escalate_below)
    late = [vote("ann", "decline", 0.9, 1, cites=("field:debt",)), vote("bob", "decline", round=1, veto="approve")]
    for rounds, overdue in (([split], False), ([split, late], False), ([split, late], True)):
        result, explanation = told(spec, options, rounds, overdue)
        assert recompute(json.loads(json.dumps(explanation, allow_nan=False))) == result


def test_recomputing_notices_a_changed_vote(options, split):
    result, explanation = told(StrategySpec(name="plurality"), options, [split])
    explanation["votes"][0]["option"] = "decline"
    assert recompute(explanation).option == "decline" != result.option


def test_pivotal_personas_and_dissent(options, split):
    _, explanation = told(StrategySpec(name="confidence_weighted"), options, [split])
    assert [(turn["persona"], turn["option"]) for turn in explanation["pivotal"]] == [
        ("ann", "decline"),
        ("bob", "decline"),
    ]
    dissent = explanation["strongest_dissent"]
    assert (dissent["persona"], dissent["rationale"], dissent["evidence"][0]["value"]) == ("cyd", "debt", 9)
    assert "ann voting decline or refer or abstaining: decided for decline" in explanation["would_have_changed"]


def test_unanimity_has_neither(options, vote):
    _, explanation = told(StrategySpec(name="plurality"), options, [[vote(name, "approve") for name in PANEL]])
    assert explanation["pivotal"] == []
    assert explanation["strongest_dissent"] is None


def test_the_distance_to_every_threshold(options, split):
    spec = StrategySpec(name="consensus", parameters={"tau": 0.75}, escalate_below=0.1)
    _, explanation = told(spec, options, [split])
    margin, share = explanation["requirements"]
    assert margin["distance"] == pytest.approx(1 / 3 - 0.1)
    assert (share["threshold"], share["distance"]) == (0.75, pytest.approx(2 / 3 - 0.75))
    assert "a share of at least 0.75 instead of 0.6667: decided for approve" in explanation["would_have_changed"]


def test_every_round_is_told(options, split, vote):
    second = [*split[:2], vote("cyd", "approve", 0.9, 1)]
    _, explanation = told(StrategySpec(name="plurality"), options, [split, second])
    assert [each["round"] for each in explanation["rounds"]] == [0, 1]
    revised = explanation["rounds"][1]["votes"][2]
    assert (revised["option"], revised["counts_as"]) == ("approve", "decline")


def test_markdown_is_complete_and_keeps_words_as_text(options, vote):
    nasty = vote("cyd", "decline", 0.9, veto="approve", rationale="# x\n| a | <script> [l](u)")
    given = [vote("ann", "approve"), vote("bob", "approve"), nasty]
    _, explanation = told(StrategySpec(name="plurality"), options, [given])
    text = as_markdown(explanation)
    assert text.startswith("## Blocked\n")
    assert "\\# x \\| a \\| &lt;script&gt; \\[l\\](u)" in text
    assert "Veto: cyd against approve" in text
    assert "the step's reason" in text
    assert "<script>" not in text


def test_stated_reasons_come_from_those_whose_vote_counts(options, vote):
    given = [
        vote("ann", "approve", 0.6, reasons=("steady income", "low debt")),
        vote("bob", "approve", 0.7, reasons=("long history", "steady income")),
        vote("cyd", "decline", 0.9, reasons=("young firm",)),
    ]
    result = resolve(StrategySpec(name="confidence_weighted"), options, PANEL, [given])
    assert stated_reasons(result, given) == ("long history", "steady income", "low debt")
    assert stated_reasons(result, given, limit=1) == ("long history",)
    assert stated_reasons(result.model_copy(update={"option": None}), given) == ()


def test_who_vetoes_is_pivotal(options, vote):
    given = [vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "decline", veto="approve")]
    _, explanation = told(StrategySpec(name="plurality"), options, [given])
    assert {"persona": "cyd", "kind": "decided", "option": "approve", "margin": 1.0} in explanation["pivotal"]


def test_the_weightiest_dissent_is_the_strongest(options, vote):
    panel = [*PANEL, "dan"]
    given = [
        vote("ann", "approve", 1.0),
        vote("bob", "decline", 0.2),
        vote("cyd", "refer", 0.4),
        vote("dan", "approve"),
    ]
    _, explanation = told(StrategySpec(name="confidence_weighted"), options, [given], panel=panel)
    assert explanation["strongest_dissent"]["persona"] == "cyd"


def test_its_parts_are_fixed_and_vetoes_bring_their_evidence(options, vote):
    given = [
        vote(name, "approve", rationale="stated", evidence=(Evidence(id="field:a", value="shown"),)) for name in PANEL
    ]
    blocked = [*given[:2], given[2].model_copy(update={"veto": "approve"})]
    _, explanation = told(StrategySpec(name="plurality"), options, [blocked])
    assert explanation["vetoes"][0]["evidence"][0]["value"] == "shown"
    assert set(explanation) == {
        "version", "strategy", "options", "eligible", "terms", "result", "step", "overdue", "counted_instead", "votes",
        "vetoes",
        "requirements", "certificate", "pivotal", "switches", "confidences", "vetoes_lifted", "blocking",
        "strongest_dissent", "conflict", "would_have_changed", "rounds",
    }  # fmt: skip
