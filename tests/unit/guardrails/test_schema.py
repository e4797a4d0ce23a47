import pytest

from domain.guard import Hop
from guardrails.filters import FILTERS
from guardrails.schema import FACTS, FILLED_BY_GATE, SIGNALS, USUAL, schema_of

FIELDS = {
    "Amount": {"type": "number"},
    "Time": {"type": "integer"},
    "Home": {"type": ["string", "null"], "enum": ["owner", None]},
    "Late?": {"type": "boolean"},
    "Mixed": {"type": ["string", "integer"]},
    "Nested": {"type": "object"},
    "Odd\x07": {"type": "string"},
}


@pytest.fixture
def schema(make_task_type):
    task_type = make_task_type().model_copy(update={"payload_schema": {"type": "object", "properties": FIELDS}})
    return schema_of(task_type)


def test_the_schema_names_every_hop_the_type_and_its_personas(schema):
    assert all(f'action "{hop}" appliesTo' in schema.text for hop in Hop)
    assert set(FACTS) == set(Hop) == set(USUAL)
    assert 'entity Task enum ["credit_review"];' in schema.text
    assert 'entity Persona enum ["risk_analyst"];' in schema.text


def test_payload_fields_become_attributes_by_their_type(schema):
    assert schema.payload == {"Amount": "decimal", "Time": "Long", "Home": "String", "Late?": "Bool"}
    given = {"Amount": 2500.5, "Time": 3, "Home": None, "Nested": {}, "unheard of": 1}
    context = schema.context({"payload": given, "stake_cents": 1})
    assert context == {
        "stake_cents": 1,
        "payload": {"Amount": {"__extn": {"fn": "decimal", "arg": "2500.5000"}}, "Time": 3},
    }


def test_an_amount_that_is_no_number_is_refused(schema):
    with pytest.raises(TypeError):
        schema.context({"payload": {"Amount": True}})


def test_every_filter_has_a_signal():
    assert FILTERS.keys() <= SIGNALS.keys()


def test_no_fact_shadows_what_the_gate_fills_in():
    assert all(not facts.keys() & FILLED_BY_GATE.keys() for facts in FACTS.values())


def test_the_usual_facts_are_facts():
    assert all(USUAL[hop].keys() <= FACTS[hop].keys() for hop in Hop)
