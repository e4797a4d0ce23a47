"""Through the gate: what policy wants redacted is redacted, and judged again before it passes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from domain.canonical import digest
from domain.guard import Effect, Subject, Verdict
from guardrails.gate import CedarGate


@dataclass(frozen=True)
class Passage:
    """What stands at the far side of the gate."""

    value: Any
    """As it was brought, or redacted."""
    verdict: Verdict
    """On `value`; for whose sake it was redacted stands in `modified_by`."""


async def pass_gate(gate: CedarGate, value: Any, subject_of: Callable[[Any], Subject]) -> Passage:
    """Judge the plain-JSON value, redacted where policy asks for it. Never raises."""
    subject = subject_of(value)
    return await redact_and_judge(gate, value, subject_of, await gate.judge(subject))


async def redact_and_judge(
    gate: CedarGate, value: Any, subject_of: Callable[[Any], Subject], verdict: Verdict
) -> Passage:
    """The same where the first verdict is known already."""
    if verdict.effect is not Effect.REDACT:
        return Passage(value, verdict)
    try:
        other = await gate.redacted(value, subject_of(value), verdict)
    except Exception as problem:  # a filter that fails or hangs while it redacts: nothing passes
        return Passage(value, _denied(verdict, f"it could not be redacted ({type(problem).__name__})"))
    again = await gate.judge(subject_of(other))
    if again.effect is Effect.REDACT:
        return Passage(value, _denied(again, "what policy wants taken out is still there"))
    # Taking something out of a text may hide from a filter what the rest of it still says.
    obligations = tuple(sorted({*verdict.obligations, *again.obligations})) if again.effect is Effect.ALLOW else ()
    update = {"modified_by": verdict.policy_ids, "modified": digest(other), "obligations": obligations}
    return Passage(other, again.model_copy(update=update))


def _denied(verdict: Verdict, reason: str) -> Verdict:
    return verdict.model_copy(update={"effect": Effect.DENY, "reasons": (*verdict.reasons, reason)})
