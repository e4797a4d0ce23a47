"""One task type's gate: its filters look, its policies decide, and whatever cannot be judged is denied."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cedarpy

from domain.canonical import digest
from domain.guard import SEVERITY, Effect, Finding, Subject, Verdict
from domain.ports import Guard
from domain.task_type import TaskType
from guardrails.filters import FILTERS
from guardrails.policies import Policies, Policy, load_policies
from guardrails.schema import FACTS, FILLED_BY_GATE, SIGNALS, principal_type, schema


def load_gate(task_type: TaskType) -> "CedarGate":
    """The gate over the task type's own policy files. Raises CatalogError."""
    policies = load_policies([Path(task_type.folder) / name for name in task_type.policies])
    return CedarGate(task_type.name, policies, {name: make(task_type) for name, make in FILTERS.items()})


@dataclass(frozen=True, slots=True)
class Ruling:
    """What policy says of a request."""

    effect: Effect
    reasons: tuple[str, ...]
    policy_ids: tuple[str, ...] = ()


class CedarGate:
    """Filters and parsed policies; see `domain.ports.Gate`."""

    policy_hash: str

    def __init__(self, task_type: str, policies: Policies, guards: Mapping[str, Guard]) -> None:
        self.task_type, self.policies, self.guards = task_type, policies, dict(guards)
        self.policy_hash = policies.hash
        self._entities = cedarpy.Entities.from_json_str("[]", schema())

    def judge(self, subject: Subject) -> Verdict:
        """What policy says of the subject. Never raises: anything wrong is a denial that says what was wrong."""
        findings: tuple[Finding, ...] = ()
        input_hash = ""
        try:
            findings = tuple(
                finding
                for guard in self.guards.values()
                if subject.hop in guard.hops
                if (finding := _look(guard, subject))
            )
            input_hash = digest({"hop": subject.hop, "text": subject.text, "facts": subject.facts})
            ruling = self._rule(subject, findings)
        except Exception as problem:  # whatever broke, nothing may pass a gate that did not decide
            ruling = Ruling(Effect.DENY, (f"the gate could not judge this ({type(problem).__name__})",))
        return Verdict(
            hop=subject.hop,
            effect=ruling.effect,
            reasons=ruling.reasons,
            policy_ids=ruling.policy_ids,
            policy_hash=self.policy_hash,
            findings=findings,
            input_hash=input_hash,
        )

    def _rule(self, subject: Subject, findings: tuple[Finding, ...]) -> Ruling:
        expected = FACTS[subject.hop].keys()
        if subject.facts.keys() != expected:
            return Ruling(Effect.DENY, (_mismatch(subject.facts.keys() - expected, expected - subject.facts.keys()),))
        answer = cedarpy.is_authorized_batch(
            [self._request(subject, findings)], self.policies.parsed, self._entities, schema()
        )[0]
        names = answer.diagnostics.id_annotations_by_reason
        matched = sorted(
            (self.policies.by_id[names[reason]] for reason in answer.diagnostics.reasons),
            key=lambda policy: (SEVERITY.index(policy.effect), policy.position),
        )
        # Cedar skips a forbid that errs and may still allow, so an error outweighs its decision.
        if answer.diagnostics.errors or answer.decision is cedarpy.Decision.NoDecision:
            errors = tuple(f"policy could not be evaluated: {error}" for error in answer.diagnostics.errors)
            return Ruling(Effect.DENY, errors or ("policy gave no decision",))
        return _ruling(answer.decision, matched)

    def _request(self, subject: Subject, findings: tuple[Finding, ...]) -> dict[str, Any]:
        kind = principal_type(subject.hop)
        principal = str(subject.facts["persona"]) if kind == "Persona" else "submitter"
        return {
            "principal": {"type": kind, "id": principal},
            "action": {"type": "Action", "id": subject.hop.value},
            "resource": {"type": "Task", "id": self.task_type},
            "context": {**subject.facts, **_signals(findings)},
        }


def _ruling(decision: cedarpy.Decision, matched: list[Policy]) -> Ruling:
    if not matched:
        return Ruling(Effect.DENY, ("no policy permits this",))
    ids = tuple(policy.id for policy in matched)
    reasons = tuple(policy.reason for policy in matched if policy.reason)
    allowed = decision is cedarpy.Decision.Allow
    if allowed != all(policy.effect is Effect.ALLOW for policy in matched):
        return Ruling(Effect.DENY, ("the decision and the policies behind it disagree",), ids)
    return Ruling(Effect.ALLOW if allowed else matched[0].effect, reasons, ids)


def _look(guard: Guard, subject: Subject) -> Finding | None:
    """The guard's finding, timed; a guard that fails becomes a finding that says so."""
    started = time.perf_counter()
    try:
        finding = guard.check(subject)
        if finding is None:
            return None
        if not 0.0 <= finding.score <= 1.0:
            raise ValueError(f"score {finding.score} is outside [0, 1]")
    except Exception as problem:  # a filter is never trusted to fail politely; policy decides what its failure means
        finding = Finding(
            guard_id=guard.id,
            version=guard.version,
            category="guard_error",
            score=0.0,
            reason="the filter failed",
            # The message may quote the very text that is being kept out, so the kind alone is recorded.
            error=type(problem).__name__,
        )
    return finding.model_copy(update={"latency_ms": (time.perf_counter() - started) * 1000})


def _signals(findings: tuple[Finding, ...]) -> dict[str, Any]:
    """The findings as policy attributes. Rounded up: the least score still counts as more than none."""
    signals: dict[str, Any] = dict.fromkeys(FILLED_BY_GATE, 0)
    for finding in findings:
        if finding.error is None:
            name = SIGNALS[finding.guard_id]
            signals[name] = max(signals[name], math.ceil(finding.score * 10_000))
    signals["guard_error"] = any(finding.error is not None for finding in findings)
    return signals


def _mismatch(unknown: set[str], missing: set[str]) -> str:
    problems = [f"unknown fact {name!r}" for name in sorted(unknown)]
    return "; ".join([*problems, *(f"missing fact {name!r}" for name in sorted(missing))])
