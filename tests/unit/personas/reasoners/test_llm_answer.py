"""What a model says is held to what it was shown."""

import json

import pytest

from domain.errors import ReasonerError
from domain.memory import PersonaContext
from domain.proposal import Option
from personas.reasoners.llm_answer import on_show, read, schema

OPTIONS = (Option(name="approve", action="approve"),)
VOTE = {"option": "approve", "confidence": 1, "rationale": "x", "reasons": [], "evidence": [], "cites": []}


def test_values_of_evidence_come_from_the_context() -> None:
    context = PersonaContext(
        persona="a",
        round=1,
        question="?",
        options=(),
        working={"Income": 5, "Tags": ["x"]},
        episodes=({"id": "e1", "text": "t"},),
        facts=({"id": "f1", "text": "t"},),
        shared=(
            {"id": "field:Income", "field": "Income", "value": 9},
            {"id": "field:Debt", "field": "Debt", "value": 1},
        ),
    )
    shown = on_show(context)
    assert list(shown) == ["field:Income", "field:Tags", "episode:e1", "fact:f1", "field:Debt"]
    assert shown["field:Income"].value == 5


def test_the_schema_asks_for_every_property_and_no_other() -> None:
    shape = schema(OPTIONS, ["field:Income"], [])
    assert set(shape["required"]) == set(shape["properties"])
    assert shape["additionalProperties"] is False
    assert shape["properties"]["cites"]["maxItems"] == 0
    assert shape["properties"]["ranking"]["items"]["enum"] == ["approve"]
    assert shape["properties"]["ranking"]["maxItems"] == 1


def test_a_fitting_answer_is_read() -> None:
    assert read(json.dumps(VOTE), OPTIONS, [], []).confidence == 1.0


@pytest.mark.parametrize("text", [None, [], " ", "null", "[]", "{}", json.dumps(VOTE | {"confidence": "0.5x"})])
def test_what_does_not_fit_is_refused(text: object) -> None:
    with pytest.raises(ReasonerError):
        read(text, OPTIONS, [], [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no", "does not fit: the answer: json_invalid"),
        (json.dumps(VOTE)[:-1] + ', "confidence": 0}', "does not fit: the answer: json_duplicate"),
        (json.dumps(VOTE | {"confidence": float("nan")}), "does not fit: the answer: json_number"),
        (json.dumps(VOTE | {"rationale": "\ud800"}), "does not fit: the answer: json_surrogate"),
        (json.dumps(VOTE | {"rationale": "a\x00"}), "the model's answer holds a NUL character"),
        ("[" * 9_000, "does not fit: the answer: json_depth"),
    ],
)
def test_only_strict_json_is_read(text: str, problem: str) -> None:
    with pytest.raises(ReasonerError) as caught:
        read(text, OPTIONS, [], [])
    assert str(caught.value).removeprefix("the model's answer ") == problem.removeprefix("the model's answer ")


THREE = tuple(Option(name=name, action=name) for name in ("approve", "decline", "refer"))


@pytest.mark.parametrize("ranking", [[], ["approve"], ["approve", "refer"], ["approve", "refer", "decline"]])
def test_a_ranking_of_the_options_is_read(ranking: list[str]) -> None:
    assert read(json.dumps(VOTE | {"ranking": ranking}), THREE, [], []).ranking == ranking


def test_an_answer_without_a_ranking_has_none() -> None:
    assert read(json.dumps(VOTE), THREE, [], []).ranking == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ranking": ["decline", "approve"]}, "does not begin with its option"),
        ({"option": "abstain", "ranking": ["abstain"]}, "does not begin with its option"),
        ({"option": "abstain", "ranking": ["approve"]}, "does not begin with its option"),
        ({"ranking": ["approve", "burn"]}, "ranked an option that is not on the table"),
        ({"ranking": ["approve", "refer", "refer"]}, "ranked an option twice"),
        ({"ranking": "approve"}, "does not fit: ranking"),
        ({"ranking": ["approve", 3]}, "does not fit: ranking.1"),
    ],
)
def test_an_unusable_ranking_is_refused(change: dict[str, object], problem: str) -> None:
    with pytest.raises(ReasonerError, match=problem):
        read(json.dumps(VOTE | change), THREE, [], [])
