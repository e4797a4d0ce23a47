import json
from dataclasses import replace

import cedarpy
import pytest

from domain.errors import CatalogError
from domain.guard import Hop
from domain.task_type import ActionSpec, TaskType
from guardrails.asked import fields_read
from guardrails.filters import FILTERS
from guardrails.gate import CedarGate, load_gate
from guardrails.ruling import request_of
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


@pytest.fixture
def with_limit(make_task_type):
    """A task type whose declining has an amount that policies may ask about."""
    kind = make_task_type()
    action = ActionSpec(name="decline", counter_arguments=("fee", "note"), argument_types={"fee": "number"})
    spec = kind.plan.subtasks[0].model_copy(update={"actions": (action,)})
    return kind.model_copy(update={"plan": kind.plan.model_copy(update={"subtasks": (spec,)})})


LIMIT = """
@id("P") permit (principal, action, resource);
@id("FEE") @effect("deny") @reason("r") @owner("o") forbid (principal, action == Action::"arguments", resource)
when { context.arguments has fee && context.arguments.fee.greaterThan(decimal("50.0")) };
"""


@pytest.mark.parametrize(
    ("fee", "effect"),
    [
        ({}, "allow"),
        ({"fee": 50}, "allow"),
        ({"fee": 50, "note": "not for policy"}, "allow"),
        ({"fee": 50.01}, "deny"),
        ({"fee": 1e300}, "deny"),
        ({"fee": -1e300}, "deny"),
        ({"fee": "50"}, "deny"),
        ({"fee": True}, "deny"),
        ({"fee": None}, "deny"),
        ({"fee": [1]}, "deny"),
        ({"fee": float("nan")}, "deny"),
    ],
)
def test_policies_ask_about_declared_arguments(with_limit, make_subject, tmp_path, fee, effect):
    (tmp_path / "limit.cedar").write_text(LIMIT)
    gate = load_gate(with_limit, [tmp_path / "limit.cedar"])
    assert gate.judge_here(make_subject(Hop.ARGUMENTS, arguments=fee)).effect == effect


def test_an_argument_that_no_action_declares_a_type_for_is_refused_at_load(with_limit, tmp_path):
    (tmp_path / "limit.cedar").write_text(LIMIT.replace("fee", "note"))
    with pytest.raises(CatalogError, match=r"policy FEE: .*it has no arguments\.note"):
        load_gate(with_limit, [tmp_path / "limit.cedar"])


ASKS = """@id("P") permit (principal, action, resource) when { %s };"""


@pytest.mark.parametrize(
    ("condition", "unknown"),
    [
        ("context has stake_cents && context.stake_cents > 5", None),
        ("context has steak_cents && context.steak_cents > 5", "steak_cents"),
        ("context.payload has Amuont", "payload.Amuont"),
        ("!(context.rounds > 1 || (context.payload has Nested && true))", "payload.Nested"),
        ('context.payload has "Late?" && context.payload["Late?"]', None),
    ],
)
def test_a_mistyped_field_behind_has_is_refused_at_load(make_task_type, tmp_path, condition, unknown):
    kind = make_task_type(tmp_path / "pilot", payload_schema={"type": "object", "properties": FIELDS})
    text = ASKS % condition
    if "rounds" in condition or "payload" in condition:
        text = text.replace("action,", 'action == Action::"arguments",')
    (tmp_path / "pilot").mkdir()
    file = tmp_path / "pilot" / "policies.cedar"
    file.write_text(text)
    if unknown is None:
        load_gate(kind, [file])
        return
    with pytest.raises(CatalogError, match=f"policy P: .*it has no {unknown}"):
        load_gate(kind, [file])


def test_a_policy_for_several_types_may_ask_for_what_one_of_them_has_not(make_task_type, tmp_path):
    (tmp_path / "pilot").mkdir()
    (tmp_path / "pilot" / "policies.cedar").write_text('@id("P") permit (principal, action, resource);')
    (tmp_path / "policies.cedar").write_text(
        '@id("S") @effect("deny") @reason("r") @owner("o") forbid (principal, action == Action::"arguments", resource) '
        "when { context.payload has amount && context.payload.amount > 5 };"
    )
    assert "S" in load_gate(make_task_type(tmp_path / "pilot")).policies.by_id


def test_types_of_arguments_are_of_declared_ones_and_one_each(with_limit):
    with pytest.raises(ValueError, match="'fee' is not among counter_arguments"):
        ActionSpec(name="decline", argument_types={"fee": "number"})
    other = ActionSpec(name="approve", counter_arguments=("fee",), argument_types={"fee": "string"})
    data = with_limit.model_dump()
    data["plan"]["subtasks"][0]["actions"] += (other.model_dump(),)
    with pytest.raises(ValueError, match="'fee' is a number and a string: give it one type"):
        TaskType.model_validate(data)


def test_every_filter_has_a_signal():
    assert FILTERS.keys() <= SIGNALS.keys()


def test_no_fact_shadows_what_the_gate_fills_in():
    assert all(not facts.keys() & FILLED_BY_GATE.keys() for facts in FACTS.values())


def test_the_usual_facts_are_facts():
    assert all(USUAL[hop].keys() <= FACTS[hop].keys() for hop in Hop)


READS = """@id("P") permit (principal, action == Action::"arguments", resource) when {{ {} }};"""


@pytest.mark.parametrize(
    ("condition", "payload", "arguments"),
    [
        ("true", set(), set()),
        ("context.stake_cents > 5", set(), set()),
        ("context.payload has Time && context.payload.Time > 5", {"Time"}, set()),
        ("context.payload has Home", {"Home"}, set()),
        ('context has payload && !(context.payload has "Late?" && context.payload["Late?"])', {"Late?"}, set()),
        ('context.payload has Amount && context.payload.Amount.lessThan(decimal("1.0"))', {"Amount"}, set()),
        ("context.arguments has fee && (if context.approved then context.arguments.fee > 1 else true)", set(), {"fee"}),
        ("context.payload == context.payload", None, set()),
        ("[context.payload].contains(context.payload)", None, set()),
        ("(if context.approved then context.payload else context.payload) has Time", None, set()),
        ("context == context", None, None),
        ("{a: context}.a == {a: context}.a", None, None),
    ],
)
def test_what_the_policies_read_of_payload_and_arguments(condition, payload, arguments):
    found = fields_read(json.loads(cedarpy.policies_to_json_str(READS.format(condition)))["staticPolicies"].values())
    wanted = {"payload": payload, "arguments": arguments}
    assert found == {name: None if fields is None else frozenset(fields) for name, fields in wanted.items()}


def test_what_no_policy_reads_is_not_put_before_cedar_and_changes_nothing(make_task_type, make_subject, tmp_path):
    kind = make_task_type(tmp_path / "pilot", payload_schema={"type": "object", "properties": FIELDS})
    file = tmp_path / "some.cedar"
    file.write_text(
        '@id("P") permit (principal, action, resource);\n'
        '@id("F") @effect("deny") @reason("r") @owner("o") forbid (principal, action == Action::"arguments", resource) '
        "when { context.payload has Time && context.payload.Time > 5 && context.payload has Home };"
    )
    gate = load_gate(kind, [file])
    whole = replace(gate.policies, reads={"payload": None, "arguments": None})
    seen = set()
    for payload in ({"Time": t, "Home": h, "Amount": a} for t in (None, 5, 6) for h in (None, "x") for a in (1, 2)):
        subject = make_subject(Hop.ARGUMENTS, payload=payload)
        request = request_of(gate.policies, gate.task_type, subject, ())
        seen.add(request["context"])
        assert gate.rule(subject, ()) == CedarGate(gate.task_type, whole, {}).rule(subject, ())
    assert len(seen) == 6
    assert "Amount" not in "".join(seen)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Amount", "1"),
        ("Amount", True),
        ("Amount", 1e300),
        ("Amount", 922337203685477.6),
        ("Amount", float("nan")),
        ("Amount", float("inf")),
        ("Time", 1.0),
        ("Time", True),
        ("Time", 2**63),
        ("Home", 1),
        ("Home", "\ud800"),
        ("Late?", 1),
    ],
)
@pytest.mark.parametrize("read", [True, False])
def test_a_field_of_another_type_is_denied_whether_or_not_it_is_read(
    make_task_type, make_subject, tmp_path, field, value, read
):
    kind = make_task_type(tmp_path / "pilot", payload_schema={"type": "object", "properties": FIELDS})
    file = tmp_path / "some.cedar"
    asks = f' when {{ context.payload has "{field}" }}' if read else ""
    file.write_text(f'@id("P") permit (principal, action == Action::"arguments", resource){asks};')
    gate = load_gate(kind, [file])
    fits = {"Amount": 1.5, "Time": 1, "Home": "x", "Late?": False}
    assert gate.rule(make_subject(Hop.ARGUMENTS, payload={field: fits[field]}), ()).effect == "allow"
    verdict = gate.rule(make_subject(Hop.ARGUMENTS, payload={field: value}), ())
    assert (verdict.effect, verdict.policy_ids) == ("deny", ())
