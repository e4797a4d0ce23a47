"""What guards see and what policy says."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from domain.model import Frozen


class Hop(StrEnum):
    """Where guards stand."""

    INPUT = "input"
    RETRIEVED = "retrieved"
    PROPOSAL = "proposal"
    ARGUMENTS = "arguments"
    RESPONSE = "response"


class Effect(StrEnum):
    """What follows from a verdict, most severe first."""

    HALT = "halt"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"
    DOWNGRADE = "downgrade"
    REDACT = "redact"
    ALLOW = "allow"


SEVERITY = tuple(Effect)


class Finding(Frozen):
    """A signal from one filter; never a verdict by itself."""

    guard_id: str
    version: str
    category: str
    score: float
    reason: str
    spans: tuple[tuple[int, int], ...] = ()
    evidence_hash: str = ""
    error: str | None = None
    latency_ms: float = 0.0


class Subject(Frozen):
    """What stands before the gate."""

    hop: Hop
    text: str
    """All text that filters read."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """Plain values handed to policy (amount_cents, action, reason_count, ...)."""


class Verdict(Frozen):
    """What policy says of a subject."""

    hop: Hop
    effect: Effect
    reasons: tuple[str, ...]
    policy_ids: tuple[str, ...]
    policy_hash: str
    findings: tuple[Finding, ...] = ()
    input_hash: str = ""
    approval_id: str | None = None
