"""What the policies say of one request."""

import json
import math
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import cedarpy

from domain.guard import SEVERITY, Effect, Finding, Subject, Verdict
from guardrails.policies import Policies, Policy, without
from guardrails.schema import FACTS, FILLED_BY_GATE, FLAGS, SIGNALS, principal_type

UNPERMITTED = "no policy permits this"
KEPT_RULINGS = 4096


@dataclass(frozen=True, slots=True)
class Ruling:
    """What policy says, and what it attaches to it."""

    effect: Effect
    reasons: tuple[str, ...]
    policy_ids: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    overridable_by: str | None = None
    overridden: tuple[str, ...] = ()
    downgrade_to: str | None = None
    redact: tuple[str, ...] = ()


class Ruler:
    """The policies of one gate at work. What they say rests on the request alone, so the same one is put once."""

    def __init__(self, policies: Policies, task_type: str) -> None:
        self._policies, self._task_type = policies, task_type
        self._kept: OrderedDict[tuple[str, str, str], Ruling] = OrderedDict()

    def rule(self, subject: Subject, findings: Sequence[Finding]) -> Ruling:
        """Decide. Raises whatever keeps Cedar from reading the request.

        A denial by policies that were all put aside for this subject is what the others say of it.
        """
        policies, expected = self._policies, FACTS[subject.hop].keys()
        if subject.facts.keys() != expected:
            return Ruling(Effect.DENY, (_mismatch(subject.facts.keys() - expected, expected - subject.facts.keys()),))
        request = request_of(policies, self._task_type, subject, findings)
        ruling = self._once(request)
        denied_by = denying(policies, ruling)
        if not denied_by or ruling.overridable_by is None or not {*denied_by} <= {*subject.waived}:
            return ruling
        return replace(_decide(without(policies, denied_by), request), overridden=denied_by)

    def _once(self, request: dict[str, Any]) -> Ruling:
        key = (request["principal"]["id"], request["action"]["id"], request["context"])
        with suppress(KeyError):
            # Another thread may take it out in between.
            self._kept.move_to_end(key)
            return self._kept[key]
        ruling = _decide(self._policies, request)
        # What no policy decided, an error above all, is put again.
        if ruling.policy_ids:
            self._kept[key] = ruling
            if len(self._kept) > KEPT_RULINGS:
                self._kept.popitem(last=False)
        return ruling


def denying(policies: Policies, ruling: "Ruling | Verdict") -> tuple[str, ...]:
    """The policies that a denial comes from; empty where it is none, or comes from elsewhere."""
    if ruling.effect is not Effect.DENY:
        return ()
    return tuple(one for one in ruling.policy_ids if policies.by_id[one].effect is Effect.DENY)


def _decide(policies: Policies, request: dict[str, Any]) -> Ruling:
    schema = policies.schema
    answer = cedarpy.is_authorized_batch([request], policies.parsed, schema.entities, schema.parsed)[0]
    names = answer.diagnostics.id_annotations_by_reason
    matched = sorted(
        (policies.by_id[names[reason]] for reason in answer.diagnostics.reasons),
        key=lambda policy: (SEVERITY.index(policy.effect), policy.position),
    )
    # Cedar skips a forbid that errs and may still allow, so an error outweighs its decision.
    if answer.diagnostics.errors or answer.decision is cedarpy.Decision.NoDecision:
        errors = tuple(f"policy could not be evaluated: {error}" for error in answer.diagnostics.errors)
        return Ruling(Effect.DENY, errors or ("policy gave no decision",))
    ruling = _ruling(answer.decision, matched)
    if ruling.effect is not Effect.REDACT:
        return ruling
    # It passes, redacted, and what it was taints all the same.
    return replace(ruling, obligations=_obligations(policies, request))


def _obligations(policies: Policies, request: dict[str, Any]) -> tuple[str, ...]:
    """What the matching permits attach. Raises ValueError where Cedar reports an error."""
    schema = policies.schema
    diagnostics = cedarpy.is_authorized_batch([request], policies.obliging, schema.entities, schema.parsed)[
        0
    ].diagnostics
    if diagnostics.errors:
        raise ValueError("obligations could not be evaluated")
    matched = (policies.by_id[diagnostics.id_annotations_by_reason[reason]] for reason in diagnostics.reasons)
    return tuple(sorted({policy.obligation for policy in matched if policy.obligation}))


def request_of(policies: Policies, task_type: str, subject: Subject, findings: Sequence[Finding]) -> dict[str, Any]:
    """What Cedar is asked. Raises KeyError, TypeError or ValueError where it cannot be put."""
    kind = principal_type(subject.hop)
    principal = str(subject.facts["persona"]) if kind == "Persona" else "submitter"
    return {
        "principal": {"type": kind, "id": principal},
        "action": {"type": "Action", "id": subject.hop.value},
        "resource": {"type": "Task", "id": task_type},
        # As text: the form in which Cedar takes it, and in which it can be told whether it is the same.
        "context": json.dumps({**policies.schema.context(subject.facts, policies.reads), **_signals(findings)}),
    }


def _ruling(decision: cedarpy.Decision, matched: list[Policy]) -> Ruling:
    if all(policy.obligation is not None for policy in matched):
        return Ruling(Effect.DENY, (UNPERMITTED,))
    ids = tuple(policy.id for policy in matched)
    reasons = tuple(policy.reason for policy in matched if policy.reason)
    allowed = decision is cedarpy.Decision.Allow
    if allowed != all(policy.effect is Effect.ALLOW for policy in matched):
        return Ruling(Effect.DENY, ("the decision and the policies behind it disagree",), ids)
    if allowed:
        obligations = tuple(sorted({policy.obligation for policy in matched if policy.obligation}))
        return Ruling(Effect.ALLOW, reasons, ids, obligations)
    effect = matched[0].effect
    deciding = [policy for policy in matched if policy.effect is effect]
    return Ruling(
        effect,
        reasons,
        ids,
        overridable_by=_overridable_by(deciding),
        downgrade_to=next((policy.downgrade_to for policy in deciding if policy.downgrade_to), None),
        # One that names none takes out all that can be.
        redact=tuple(sorted({name for policy in deciding for name in policy.redact}))
        if all(policy.redact for policy in deciding)
        else (),
    )


def _overridable_by(deciding: Sequence[Policy]) -> str | None:
    """The role that every denying policy names; None where one of them names none, or another."""
    roles = {policy.override for policy in deciding}
    return roles.pop() if len(roles) == 1 else None


def _signals(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as policy attributes. Rounded up: the least score still counts as more than none."""
    signals: dict[str, Any] = {name: False if kind == "Bool" else 0 for name, kind in FILLED_BY_GATE.items()}
    for finding in findings:
        if finding.error is not None:
            signals["guard_error"] = True
            continue
        name = SIGNALS[finding.guard_id]
        signals[name] = max(signals[name], math.ceil(finding.score * 10_000))
        if finding.category in FLAGS:
            signals[FLAGS[finding.category]] = True
    return signals


def _mismatch(unknown: set[str], missing: set[str]) -> str:
    problems = [f"unknown fact {name!r}" for name in sorted(unknown)]
    return "; ".join([*problems, *(f"missing fact {name!r}" for name in sorted(missing))])
