from domain.guard import Hop
from guardrails.filters import FILTERS
from guardrails.schema import FACTS, FILLED_BY_GATE, SCHEMA, SIGNALS, schema


def test_the_schema_parses_and_names_every_hop():
    schema()
    assert all(f'action "{hop}" appliesTo' in SCHEMA for hop in Hop)
    assert set(FACTS) == set(Hop)


def test_every_filter_has_a_signal_and_every_signal_a_filter():
    assert SIGNALS.keys() == FILTERS.keys()


def test_no_fact_shadows_what_the_gate_fills_in():
    assert all(not facts.keys() & FILLED_BY_GATE.keys() for facts in FACTS.values())
