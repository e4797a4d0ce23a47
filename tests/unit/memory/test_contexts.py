import json
from datetime import UTC, datetime

import pytest

from domain.canonical import canonical_json
from domain.memory import Memory, Recall
from domain.persona import Persona, ReasonerSpec
from domain.task_type import ContextContract
from memory.contexts import assemble
from memory.episodes import describe, visible
from memory.snapshots import freeze

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PAYLOAD = {"income": 129.0, "job": "fixed", "age": 4711, "note": "x\nage: 4711", "debt": None}
CONTRACT = ContextContract(working=("income", "job", "age", "debt"), hide=("age",), episodic=5, semantic=5)


def persona(*view, name="ann"):
    return Persona(id=name, version=1, role="r", view=view, reasoner=ReasonerSpec(kind="recorded"))


def episode(name, text, **data):
    return Memory(id=name, kind="episodic", task_type="loan", text=text, data=data, known_at=NOW)


def fact(name, text="a fact"):
    return Memory(id=name, kind="semantic", task_type="loan", text=text, known_at=NOW)


def context(contract=CONTRACT, who=None, payload=PAYLOAD, recall=None, **changes):
    extra = {"question": "?", "options": ["yes", "no"], "round": 0, "shared": (), "others": (), "own_previous": None}
    who = who or persona("income", "job", "age", "note", "debt")
    return assemble(contract, who, payload, recall or Recall(), **{**extra, **changes})


def test_working_is_contract_and_view_without_hidden():
    assert context().working == {"income": 129.0, "job": "fixed", "debt": None}
    assert context(who=persona("job", "note")).working == {"job": "fixed"}


def test_absent_fields_stay_absent():
    assert context(payload={"job": "fixed"}).working == {"job": "fixed"}


def test_hidden_fields_never_appear():
    recall = Recall(
        # Written when the field was not hidden yet, and by another hand.
        episodes=(episode("e1", "income: 1\nage: 4711\n4711 free text", action="yes", age=4711),),
        facts=(fact("f1"),),
    )
    shared = [{"id": "field:age", "field": "age", "value": 4711}, {"id": "field:job", "field": "job", "value": "fixed"}]
    seen = context(recall=recall, shared=shared)
    text = canonical_json(seen.model_dump(mode="json"))
    assert "4711" not in text
    assert '"age"' not in text
    assert seen.episodes == ({"id": "e1", "text": "income: 1", "action": "yes"},)
    assert [item["id"] for item in seen.shared] == ["field:job"]
    assert "4711" not in describe(CONTRACT, PAYLOAD)
    assert "age" not in describe(CONTRACT, PAYLOAD)


def test_an_episode_shows_only_the_personas_view():
    text = describe(CONTRACT, PAYLOAD)
    assert text == "income: 129.0\njob: fixed\ndebt: null"
    seen = context(who=persona("job"), recall=Recall(episodes=(episode("e1", text),)))
    assert seen.episodes[0]["text"] == "job: fixed"


def test_a_value_cannot_pose_as_another_line():
    contract = ContextContract(working=("note", "a: b"))
    text = describe(contract, {"note": "x\njob: forged", "a: b": 1})
    assert visible(text, ["job", "a"]) == ""
    assert visible(text, ["note"]) == "note: x\\njob: forged"


def test_what_is_passed_on():
    mine = {"option": "yes"}
    seen = context(recall=Recall(degraded="away"), others=[{"option": "no"}], own_previous=mine, round=1)
    assert (seen.degraded, seen.others, seen.own_previous, seen.round) == ("away", ({"option": "no"},), mine, 1)
    assert seen.truncated == ()


@pytest.mark.parametrize("limit", [50, 75, 100, 150, 300, 2000])
def test_the_budget_holds_and_says_what_it_left_out(limit):
    contract = CONTRACT.model_copy(update={"max_tokens": limit})
    recall = Recall(
        episodes=tuple(episode(f"e{n}", "job: " + "long " * 20) for n in range(5)),
        facts=tuple(fact(f"f{n}", "words " * 20) for n in range(5)),
    )
    seen = context(contract, recall=recall, shared=[{"id": "s1", "note": "n" * 50}], others=[{"rationale": "r" * 50}])
    shown = seen.model_dump(mode="json", exclude={"truncated", "persona", "round", "degraded"})
    assert len(json.dumps(shown, separators=(",", ":"))) / 4 <= limit + 40
    kept = [f"episode:{part['id']}" for part in seen.episodes] + [f"fact:{part['id']}" for part in seen.facts]
    named = [name for name in seen.truncated if name.startswith(("episode", "fact"))]
    assert sorted(kept + named) == sorted([f"episode:e{n}" for n in range(5)] + [f"fact:f{n}" for n in range(5)])
    assert seen.working == {"income": 129.0, "job": "fixed", "debt": None}


def test_the_lowest_ranked_go_first():
    recall = Recall(episodes=(episode("e0", "job: " + "x" * 150), episode("e1", "job: " + "x" * 150)))
    seen = context(CONTRACT.model_copy(update={"max_tokens": 80}), recall=recall)
    assert seen.truncated == ("episode:e1",)
    assert [part["id"] for part in seen.episodes] == ["e0"]


def test_working_fields_go_last_the_longest_first():
    contract = ContextContract(working=("job", "note"), max_tokens=50)
    payload = {"job": "fixed", "note": "x" * 1000}
    seen = context(contract, payload=payload, recall=Recall(facts=(fact("f0"),)), shared=[{"id": "s0"}])
    assert seen.truncated == ("fact:f0", "shared:s0", "field:note")
    assert seen.working == {"job": "fixed"}


def test_a_snapshots_hash_covers_the_contexts_alone():
    contexts = [context(), context(who=persona("job", name="bob"))]
    one = freeze("t1", "s1", 0, contexts)
    assert one.hash == freeze("t2", "s2", 1, reversed(contexts)).hash
    assert [part.persona for part in one.contexts] == ["ann", "bob"]
    assert one.hash != freeze("t1", "s1", 0, contexts[:1]).hash
    assert one.hash != freeze("t1", "s1", 0, [contexts[0], context(who=persona("income", name="bob"))]).hash
