import time
from dataclasses import replace
from typing import Any

import cedarpy
import pytest

from domain.errors import CatalogError
from domain.guard import Effect, Finding, Hop, Subject
from guardrails import ruling
from guardrails.gate import CedarGate, load_gate


class FakeGuard:
    """A filter that does what the test says."""

    version = "1"
    hops = frozenset(Hop)

    def __init__(self, guard_id: str, answer: Any) -> None:
        self.id, self.answer = guard_id, answer

    def check(self, subject: Subject) -> Finding | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _finding(score: float, guard_id: str = "secrets") -> Finding:
    return Finding(guard_id=guard_id, version="1", category="c", score=score, reason="r")


def _with(gate: CedarGate, guard: FakeGuard) -> CedarGate:
    return CedarGate(gate.task_type, gate.policies, {guard.id: guard})


@pytest.mark.parametrize("hop", list(Hop))
def test_an_ordinary_subject_is_allowed_by_its_permit(gate, make_subject, hop):
    verdict = gate.judge_here(make_subject(hop, "income covers the rate"))
    assert (verdict.effect, verdict.policy_ids) == (Effect.ALLOW, (f"PERMIT-{hop.upper()}",))
    assert (verdict.hop, verdict.policy_hash) == (hop, gate.policy_hash)
    assert len(verdict.input_hash) == 64


@pytest.mark.parametrize("hop", list(Hop))
def test_a_missing_fact_denies(gate, make_subject, hop):
    facts = make_subject(hop).facts
    for name in facts:
        verdict = gate.judge_here(Subject(hop=hop, text="", facts={k: v for k, v in facts.items() if k != name}))
        assert (verdict.effect, verdict.reasons) == (Effect.DENY, (f"missing fact {name!r}",))


@pytest.mark.parametrize("hop", list(Hop))
@pytest.mark.parametrize("name", ["extra", "secret_bp", "guard_error", "protected_attribute_bp"])
def test_an_unknown_fact_denies_and_signals_cannot_be_forged(gate, make_subject, hop, name):
    verdict = gate.judge_here(make_subject(hop, **{name: 0}))
    assert (verdict.effect, verdict.reasons) == (Effect.DENY, (f"unknown fact {name!r}",))


@pytest.mark.parametrize("hop", list(Hop))
@pytest.mark.parametrize("value", [1.5, None, [], {}, 2**70, float("nan"), object(), {"__entity": {}}])
def test_a_wrong_type_denies(gate, make_subject, hop, value):
    fits = {"payload": dict, "arguments": dict, "provenance": list}
    for name in make_subject(hop).facts:
        if isinstance(value, fits.get(name, ())):
            continue
        verdict = gate.judge_here(make_subject(hop, **{name: value}))
        assert verdict.effect is Effect.DENY
        assert verdict.policy_ids == ()


def test_truth_values_and_numbers_are_not_mixed_up(gate, make_subject):
    assert gate.judge_here(make_subject(Hop.ARGUMENTS, approved=1)).effect is Effect.DENY
    assert gate.judge_here(make_subject(Hop.ARGUMENTS, stake_cents=True)).effect is Effect.DENY


def test_text_that_is_no_unicode_denies(gate, make_subject):
    verdict = gate.judge_here(make_subject(Hop.ARGUMENTS, "\ud800", approved=True))
    assert verdict.effect is Effect.DENY
    assert verdict.findings[0].error == "UnicodeEncodeError"


def test_an_error_in_diagnostics_outweighs_allow(gate, make_subject, monkeypatch):
    answer = ruling.cedarpy.AuthzResult(
        {"decision": "Allow", "diagnostics": {"reason": [], "errors": ["policy3 failed"]}}
    )
    monkeypatch.setattr(ruling.cedarpy, "is_authorized_batch", lambda *a: [answer])
    verdict = gate.judge_here(make_subject(Hop.INPUT))
    assert (verdict.effect, verdict.reasons) == (Effect.DENY, ("policy could not be evaluated: policy3 failed",))


def test_the_same_request_is_put_to_cedar_once(gate, make_subject, monkeypatch):
    asked = []

    def counted(requests, *more):
        asked.append(requests[0]["context"])
        return is_authorized_batch(requests, *more)

    is_authorized_batch = ruling.cedarpy.is_authorized_batch
    monkeypatch.setattr(ruling.cedarpy, "is_authorized_batch", counted)
    for text in ("one text", "another"):
        assert gate.judge_here(make_subject(Hop.PROPOSAL, text)).effect is Effect.ALLOW
    assert len(asked) == 1
    # Another fact, another persona, another finding: another request.
    assert gate.judge_here(make_subject(Hop.PROPOSAL, confidence_bp=1)).effect is Effect.ALLOW
    assert gate.judge_here(make_subject(Hop.PROPOSAL, persona="nobody")).effect is Effect.DENY
    assert gate.judge_here(make_subject(Hop.PROPOSAL, "because of age")).effect is Effect.DENY
    assert len(asked) == 4


def test_what_could_not_be_evaluated_is_put_again(gate, make_subject, monkeypatch):
    subject, healthy = make_subject(Hop.INPUT), ruling.cedarpy.is_authorized_batch

    def broken(*args: object) -> None:
        raise RuntimeError("engine")

    answer = ruling.cedarpy.AuthzResult({"decision": "Allow", "diagnostics": {"reason": [], "errors": ["x"]}})
    for engine in (broken, lambda *a: [answer]):
        monkeypatch.setattr(ruling.cedarpy, "is_authorized_batch", engine)
        assert gate.judge_here(subject).effect is Effect.DENY
    monkeypatch.setattr(ruling.cedarpy, "is_authorized_batch", healthy)
    assert gate.judge_here(subject).effect is Effect.ALLOW


def test_only_so_many_rulings_are_kept(gate, make_subject, monkeypatch):
    monkeypatch.setattr(ruling, "KEPT_RULINGS", 3)
    for stake in (*range(10), 0):
        assert gate.judge_here(make_subject(Hop.INPUT, stake_cents=stake)).effect is Effect.ALLOW
    assert len(gate._ruler._kept) == 3


@pytest.mark.parametrize("decision", ["NoDecision", "Allow", "Deny"])
def test_a_decision_that_nothing_stands_behind_denies(gate, make_subject, monkeypatch, decision):
    answer = ruling.cedarpy.AuthzResult({"decision": decision, "diagnostics": {}})
    monkeypatch.setattr(ruling.cedarpy, "is_authorized_batch", lambda *a: [answer])
    assert gate.judge_here(make_subject(Hop.INPUT)).effect is Effect.DENY


def test_a_policy_that_overflows_denies(tmp_path, make_task_type, make_subject):
    (tmp_path / "policies.cedar").write_text(
        '@id("P") permit (principal, action, resource);\n'
        '@id("F") @effect("deny") @reason("r") @owner("o") forbid (principal, action == Action::"input", resource)'
        " when { context.stake_cents * 4 > 8 };",
        encoding="utf-8",
    )
    gate = load_gate(make_task_type(tmp_path))
    assert gate.judge_here(make_subject(Hop.INPUT, stake_cents=2)).effect is Effect.ALLOW
    verdict = gate.judge_here(make_subject(Hop.INPUT, stake_cents=2**62))
    assert verdict.effect is Effect.DENY
    assert "could not be evaluated" in verdict.reasons[0]


def test_an_engine_that_breaks_down_denies(gate, make_subject, monkeypatch):
    def broken(*args: object) -> None:
        raise RuntimeError("engine")

    monkeypatch.setattr(ruling.cedarpy, "is_authorized_batch", broken)
    verdict = gate.judge_here(make_subject(Hop.INPUT))
    assert (verdict.effect, verdict.reasons) == (Effect.DENY, ("the gate could not judge this (RuntimeError)",))


@pytest.mark.parametrize("text", ["", "// nothing\n"])
def test_an_empty_gate_denies(tmp_path, make_task_type, make_subject, text):
    (tmp_path / "policies.cedar").write_text(text, encoding="utf-8")
    for task_type in (make_task_type(tmp_path), make_task_type(tmp_path, policies=())):
        verdict = load_gate(task_type).judge_here(make_subject(Hop.INPUT))
        assert (verdict.effect, verdict.reasons) == (Effect.DENY, ("no policy permits this",))


@pytest.mark.parametrize("hop", list(Hop))
@pytest.mark.parametrize("how", ["an unknown fact", "a fact of another type", "a missing hop", "another persona"])
def test_a_schema_that_does_not_fit_never_leads_to_an_allow(gate, make_subject, hop, how):
    """The policies were checked against one schema, and the request is held against another."""
    schema = gate.policies.schema
    fact = {Hop.INPUT: "stake_cents: Long", Hop.RETRIEVED: "source: String", Hop.RESPONSE: "status: String"}.get(
        hop, "action: String"
    )
    changed = {
        "an unknown fact": schema.text.replace(f"{fact}, ", "").replace(f", {fact}", ""),
        "a fact of another type": schema.text.replace(fact, fact.split(":")[0] + ": Bool"),
        "a missing hop": schema.text.replace(f'action "{hop}"', 'action "elsewhere"'),
        "another persona": schema.text.replace("risk_analyst", "somebody").replace('"submitter"', '"somebody"'),
    }[how]
    assert changed != schema.text
    parsed = cedarpy.Schema.from_str(changed)
    entities = cedarpy.Entities.from_json_str("[]", parsed)
    other = replace(gate.policies, schema=replace(schema, text=changed, parsed=parsed, entities=entities))
    verdict = CedarGate(gate.task_type, other, {}).judge_here(make_subject(hop))
    assert (verdict.effect, verdict.policy_ids) == (Effect.DENY, ())
    assert "could not be" in verdict.reasons[0] or "could not judge" in verdict.reasons[0]


def test_another_task_type_is_not_permitted(gate, make_subject):
    other = CedarGate("mortgage_review", gate.policies, gate.guards)
    assert "not declared as a valid eid" in other.judge_here(make_subject(Hop.INPUT)).reasons[0]


def test_a_missing_policy_file_is_named(tmp_path, make_task_type):
    with pytest.raises(CatalogError, match=r"policies\.cedar"):
        load_gate(make_task_type(tmp_path))


@pytest.mark.parametrize(
    ("hop", "effect", "policy"),
    [
        (Hop.INPUT, Effect.DENY, "GUARD-002"),
        (Hop.RETRIEVED, Effect.DENY, "GUARD-002"),
        (Hop.PROPOSAL, Effect.DENY, "GUARD-002"),
        (Hop.ARGUMENTS, Effect.REQUIRE_APPROVAL, "GUARD-001"),
        (Hop.RESPONSE, Effect.DENY, "GUARD-002"),
    ],
)
@pytest.mark.parametrize("answer", [RuntimeError("the secret text"), _finding(1.1), _finding(-0.1), "nonsense"])
def test_a_filter_that_fails_stops_the_subject(gate, make_subject, hop, effect, policy, answer):
    verdict = _with(gate, FakeGuard("secrets", answer)).judge_here(make_subject(hop))
    assert (verdict.effect, verdict.policy_ids) == (effect, (policy,))
    assert verdict.findings[0].error is not None
    assert "secret text" not in verdict.model_dump_json()


def test_a_finding_in_the_name_of_an_unknown_filter_denies(gate, make_subject):
    verdict = _with(gate, FakeGuard("secrets", _finding(0.1, "unheard_of"))).judge_here(make_subject(Hop.INPUT))
    assert verdict.effect is Effect.DENY


def test_thresholds_live_in_policy(gate, make_subject):
    def effect(score: float) -> Effect:
        return _with(gate, FakeGuard("secrets", _finding(score))).judge_here(make_subject(Hop.INPUT)).effect

    assert (effect(0.49), effect(0.5)) == (Effect.ALLOW, Effect.DENY)


@pytest.mark.parametrize(("hop", "policy"), [(Hop.PROPOSAL, "FAIR-001"), (Hop.ARGUMENTS, "FAIR-002")])
def test_the_least_score_is_more_than_none(gate, make_subject, hop, policy):
    guard = FakeGuard("protected_attributes", _finding(1e-9, "protected_attributes"))
    assert _with(gate, guard).judge_here(make_subject(hop)).policy_ids == (policy,)


def test_all_matches_are_named_and_the_most_severe_decides(gate, make_subject):
    subject = make_subject(Hop.ARGUMENTS, "because of age", action="approve", stake_cents=300_000, explained=False)
    verdict = gate.judge_here(subject)
    assert verdict.effect is Effect.DENY
    assert verdict.policy_ids == ("FAIR-002", "EXP-002", "FIN-001")
    assert len(verdict.reasons) == 3
    assert verdict.reasons[0] == "A decision or its stated reasons may not name a protected attribute"


def test_findings_are_timed_and_kept(gate, make_subject):
    verdict = gate.judge_here(make_subject(Hop.PROPOSAL, "age, and password=hunter22"))
    assert {finding.guard_id for finding in verdict.findings} == {"protected_attributes", "secrets"}
    assert all(finding.latency_ms > 0 for finding in verdict.findings)
    assert "hunter22" not in verdict.model_dump_json()


def test_the_same_subject_gets_the_same_hash(gate, make_subject):
    one, same, other = (make_subject(Hop.INPUT, text) for text in ("a", "a", "b"))
    assert gate.judge_here(one).input_hash == gate.judge_here(same).input_hash != gate.judge_here(other).input_hash


@pytest.mark.parametrize(
    "part", ["0", "60 ", "is ", "single ", "years   ", "in his late ", "password", "-", " ", "eyJ"]
)
def test_no_text_makes_judging_slow(gate, make_subject, part):
    subject = make_subject(Hop.ARGUMENTS, part * (60_000 // len(part)))
    started = time.thread_time()
    gate.judge_here(subject)
    assert time.thread_time() - started < 2.0


def test_judging_is_fast_after_loading(gate, make_subject):
    subject = make_subject(Hop.ARGUMENTS, "income covers the rate; " * 40)
    gate.judge_here(subject)
    times = []
    for _ in range(200):
        started = time.thread_time()
        gate.judge_here(subject)
        times.append(time.thread_time() - started)
    # The median: a busy machine must not fail the test, a policy set parsed at each call must.
    assert sorted(times)[100] < 0.0015
