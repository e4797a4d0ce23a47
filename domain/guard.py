"""What guards see and what policy says."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from domain.model import Frozen
from domain.proposal import Option


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

TAINT = "taint"
"""Obligation: what rests on this is tainted from here on."""
OBLIGATIONS = frozenset({TAINT})
"""What a permit may attach to what it allows."""

ABSTAIN = "abstain"
"""The action of a proposal that votes for none."""
PROVENANCE = ("fields", "payload", "memory", "catalog")
"""Where what an action rests on may come from; `payload` is free text in it."""


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
    waived: tuple[str, ...] = ()
    """Ids of the denying policies that an operator has put aside for this very subject."""


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
    obligations: tuple[str, ...] = ()
    """What follows from letting it pass."""
    overridable_by: str | None = None
    """Role whose holder may let this denial pass."""
    overridden: tuple[str, ...] = ()
    """Ids of the policies that denied it and were put aside by somebody in that role."""
    downgrade_to: str | None = None
    """Action that policy names instead."""
    redact: tuple[str, ...] = ()
    """Filters whose findings policy wants taken out; empty: all that tell where."""
    modified_by: tuple[str, ...] = ()
    """Policies for whose sake it was redacted or downgraded before it passed."""
    modified: str = ""
    """Hash of what passed in its place."""
    instead: Option | None = None
    """At the arguments: what may be carried out in its place."""

    @property
    def tainted(self) -> bool:
        """Whether what rests on this is tainted."""
        return TAINT in self.obligations
