"""Words that a policy compares a fact with have to be words that the fact can be."""

from pathlib import Path

import pytest

from domain.acting import CompensateSpec, FallbackSpec
from domain.errors import CatalogError
from domain.task_type import CalibratedSpec, ContextContract, StrategySpec
from guardrails.gate import load_gate
from guardrails.words import FIXED, known_words
from tasks.taint import provenance

PERMIT = '@id("P") permit (principal, action, resource);\n'
FORBID = (
    '@id("F") @effect("deny") @reason("r") @owner("o") forbid (principal, action == Action::"{hop}", resource)\n'
    "when {{ {condition} }};\n"
)
FIELDS = {
    "Home": {"type": ["string", "null"], "enum": ["owner", "rent", None]},
    "Kind": {"const": "loan", "type": "string"},
    "Note": {"type": "string"},
}


@pytest.fixture
def kind(make_task_type, tmp_path):
    """A task type with a fallback, a compensation, and a strategy that takes over."""
    made = make_task_type(tmp_path / "pilot", payload_schema={"type": "object", "properties": FIELDS})
    (tmp_path / "pilot").mkdir()
    spec = made.plan.subtasks[0].model_copy(
        update={
            "strategy": StrategySpec(name="plurality", when_calibrated=CalibratedSpec(name="log_odds")),
            "fallback": FallbackSpec(executor="queue"),
            "compensate": CompensateSpec(executor="webhook"),
        }
    )
    return made.model_copy(update={"plan": made.plan.model_copy(update={"subtasks": (spec,)})})


def _load(kind, condition, hop="arguments", name="pilot/policies.cedar"):
    file = Path(kind.folder).parent / name
    file.write_text(PERMIT + FORBID.format(hop=hop, condition=condition), encoding="utf-8")
    return load_gate(kind, [file])


def test_what_a_task_types_facts_can_be(kind):
    assert {name: set(words) for name, words in known_words(kind).items()} == {
        "subtask": {"affordability"},
        "action": {"approve", "decline", "abstain"},
        "persona": {"risk_analyst"},
        "strategy": {"plurality", "log_odds"},
        "executor": {"record_decision", "queue", "webhook"},
        "payload.Home": {"owner", "rent"},
        "payload.Kind": {"loan"},
    }


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ('context.action == "aprove"', "action is one of abstain, approve, decline; it is compared with 'aprove'"),
        ('"aprove" != context.action', "'aprove'"),
        ('context["action"] == "aprove"', "'aprove'"),
        ('!(context.rounds > 1 || context.subtask == "afford")', "subtask is one of affordability"),
        ('["approve", "declne"].contains(context.action)', "'declne'"),
        ('context.risk == "hihg"', "risk is one of high, irreversible, low"),
        ('context.strategy == "majority"', "strategy is one of log_odds, plurality"),
        ('context.result == "below"', "result is one of below_threshold, blocked, decided, no_quorum, stalemate"),
        ('context.provenance.contains("memroy")', "provenance is one of catalog, fields, memory, payload"),
        ('context.provenance.containsAny(["payload", "memroy"])', "'memroy'"),
        ('context.provenance.containsAll(["memroy"])', "'memroy'"),
        ('context.provenance == ["memroy"]', "'memroy'"),
        ('context.action == (if context.approved then "approve" else "declne")', "'declne'"),
        ('(if context.approved then context.action else context.risk) == "hihg"', "'hihg'"),
        ('context.action like "app*ed"', "'app*ed'"),
        ('context.payload has Home && context.payload.Home == "ownr"', "payload.Home is one of owner, rent"),
        ('context.payload has Kind && context.payload.Kind == "lone"', "payload.Kind is one of loan"),
    ],
)
def test_a_mistyped_word_is_refused_at_load(kind, condition, says):
    with pytest.raises(CatalogError) as caught:
        _load(kind, condition)
    assert caught.value.path == "policy F"
    assert caught.value.file.endswith("pilot/policies.cedar")
    assert says in caught.value.expected


@pytest.mark.parametrize(
    ("hop", "condition", "says"),
    [
        ("retrieved", 'context.source == "episodc"', "source is one of episodic, semantic"),
        ("proposal", 'context.persona == "risk_analist"', "persona is one of risk_analyst"),
        ("proposal", 'context.action == "abstains"', "action is one of abstain, approve, decline"),
        ("response", 'context.executor == "record"', "executor is one of queue, record_decision, webhook"),
    ],
)
def test_so_it_is_at_the_other_hops(kind, hop, condition, says):
    with pytest.raises(CatalogError, match=says):
        _load(kind, condition, hop)


@pytest.mark.parametrize(
    "condition",
    [
        'context.action == "approve" && context.subtask != "affordability"',
        '["approve", "decline"].contains(context.action)',
        'context.provenance.containsAny(["payload", "memory"]) || context.provenance.isEmpty()',
        '(if context.approved then context.action else context.risk) == "high"',
        'context.action like "app*"',
        'context.payload has Home && context.payload.Home == "rent"',
        'context.payload has Note && context.payload.Note == "anything at all"',
        '(if context.payload has Note then context.payload.Note else context.action) == "anything"',
    ],
)
def test_words_that_can_be_are_let_through(kind, condition):
    assert "F" in _load(kind, condition).policies.by_id


def test_what_holds_for_several_types_may_name_what_one_of_them_has_not(kind):
    gate = _load(kind, 'context.action == "grant"', name="policies.cedar")
    assert [(one.field, one.word) for one in gate.policies.by_id["F"].stray_words] == [("action", "grant")]
    with pytest.raises(CatalogError, match=r"risk is one of high, irreversible, low"):
        _load(kind, 'context.risk == "hihg"', name="policies.cedar")


def test_the_sources_of_an_action_are_those_that_policies_may_name(kind):
    contract = ContextContract(working=("Home", "Note"), episodic=1, semantic=1)
    spec = kind.plan.subtasks[0].model_copy(update={"context": contract})
    whole = kind.model_copy(update={"plan": kind.plan.model_copy(update={"subtasks": (spec,)})})
    assert set(provenance(whole, spec, {"Home": "rent", "Note": "x"})) == FIXED["provenance"]
