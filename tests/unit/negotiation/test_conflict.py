"""The sides of a conflict, figure by figure."""

import json

import pytest

from domain.proposal import Evidence, Telemetry
from domain.task_type import StrategySpec
from negotiation.background import Background, Recalled
from negotiation.explanation import as_markdown, explain, with_telemetry
from negotiation.learned import Learned
from negotiation.rounds import resolve
from negotiation.settle import Terms

PANEL = ["ann", "bob", "cyd"]
SPEC = StrategySpec(name="confidence_weighted")
TERMS = Terms(Learned(3, {"ann": 0.71, "bob": 0.6}, 0.65, sources={"ann": "68 of 96"}))


def episode(key, action, right):
    return Recalled(id=key, kind="episodic", action=action, right=right)


BACKGROUND = {
    "ann": Background(recalled=(episode("m1", "approve", True), episode("m2", "approve", False))),
    "bob": Background(recalled=(episode("m2", "approve", False), episode("m3", "decline", True))),
    "cyd": Background(recalled=(episode("m4", None, None), Recalled(id="f1", kind="semantic")), degraded=None),
}


@pytest.fixture
def split(vote):
    debt = (Evidence(id="field:debt", field="debt", value=9, points=-2.0, note="high"),)
    words = (Evidence(id="episode:m4", value="a recalled sentence", note="another recalled sentence"),)
    return [
        vote("ann", "approve", 0.7),
        vote("bob", "approve", 0.6, fallback_of="llm"),
        vote("cyd", "decline", 0.9, evidence=debt + words),
    ]


@pytest.fixture
def told(options, split):
    result = resolve(SPEC, options, PANEL, [split], terms=TERMS)
    return explain(SPEC, options, PANEL, [split], result, "", terms=TERMS, background=BACKGROUND)


def test_each_side_has_its_figures(told):
    approve, decline = told["conflict"]["sides"]
    assert (approve["option"], decline["option"]) == ("approve", "decline")
    assert approve["weight"] == pytest.approx(1.3)
    assert (approve["fallbacks"], decline["fallbacks"]) == (1, 0)
    assert [one["persona"] for one in approve["personas"]] == ["ann", "bob"]
    assert [one["reliability"] for one in approve["personas"]] == [
        {"rate": 0.71, "record": "68 of 96", "calibration": 3},
        {"rate": 0.6, "record": None, "calibration": 3},
    ]
    assert decline["personas"][0]["reliability"] is None


def test_memory_counts_each_recalled_case_once(told):
    approve, decline = (side["memory"] for side in told["conflict"]["sides"])
    assert approve["episodes"] == ["m1", "m2", "m3"]
    assert approve["by_action"] == [
        {"action": "approve", "cases": 2, "right": 1},
        {"action": "decline", "cases": 1, "right": 1},
    ]
    assert (decline["episodes"], decline["facts"], decline["by_action"]) == (["m4"], ["f1"], [])


def test_evidence_is_told_and_recalled_words_are_not(told):
    field, memory = told["conflict"]["sides"][1]["evidence"]
    assert (field["persona"], field["value"], field["points"], field["note"]) == ("cyd", 9, -2.0, "high")
    assert memory == {"persona": "cyd", "id": "episode:m4", "field": None, "value": None, "points": 0.0, "note": ""}
    assert "recalled sentence" not in json.dumps(told)


def test_no_dissent_is_no_conflict(options, vote):
    for given in ([vote(name, "approve") for name in PANEL], [vote("ann", "approve"), vote("bob", None)], []):
        result = resolve(SPEC, options, PANEL, [given])
        explanation = explain(SPEC, options, PANEL, [given], result, "", background=BACKGROUND)
        assert explanation["conflict"] is None
        assert with_telemetry(explanation, [Telemetry(persona="ann", round=0, latency_ms=1.0)]) == explanation
        assert "### Conflict" not in as_markdown(explanation)


def test_a_stalemate_is_a_conflict(options, vote):
    given = [vote("ann", "approve"), vote("bob", "decline")]
    result = resolve(SPEC, options, PANEL, [given])
    explanation = explain(SPEC, options, PANEL, [given], result, "")
    assert [side["option"] for side in explanation["conflict"]["sides"]] == ["approve", "decline"]
    assert explanation["conflict"]["sides"][0]["memory"] is None


def test_telemetry_is_of_the_deciding_round_and_not_part_of_the_record(told):
    assert "latency" not in json.dumps(told)
    costs = [
        Telemetry(persona="ann", round=0, latency_ms=1.5, prompt_tokens=10, completion_tokens=2, model="m"),
        Telemetry(persona="bob", round=0, latency_ms=2.0, prompt_tokens=20, completion_tokens=3, fallback=True),
        Telemetry(persona="cyd", round=1, latency_ms=99.0),
    ]
    approve, decline = with_telemetry(told, costs)["conflict"]["sides"]
    assert approve["telemetry"] == {"latency_ms": 3.5, "prompt_tokens": 30, "completion_tokens": 5}
    assert approve["personas"][1]["telemetry"] == {
        "latency_ms": 2.0, "prompt_tokens": 20, "completion_tokens": 3, "model": None, "fallback": True, "error": None,
    }  # fmt: skip
    assert (decline["telemetry"], decline["personas"][0]["telemetry"]) == (None, None)
    assert told["conflict"]["sides"][0]["telemetry"] is None


def test_it_is_readable(told):
    text = as_markdown(with_telemetry(told, [Telemetry(persona="ann", round=0, latency_ms=1.5, prompt_tokens=10)]))
    assert "| approve | ann, bob | 1.3 | 1 | 1.5 | 10 | 0 |" in text
    assert "| ann | approve | 0.710 (68 of 96) | - | 1.5 | 10 | 0 |" in text
    assert "recalled, by what was done: approve 1 of 2 right; decline 1 of 1 right." in text
    assert "The side of decline recalled no resolved case." in text
    assert "- cyd: field:debt = 9, -2 (high)" in text
