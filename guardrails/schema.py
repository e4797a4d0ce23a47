"""What a policy may ask: the Cedar schema, made from one table of facts."""

from functools import cache

import cedarpy

from domain.guard import Hop

SIGNALS = {"protected_attributes": "protected_attribute_bp", "secrets": "secret_bp"}
"""Filter -> the attribute that holds its highest score, in basis points (0..10000)."""

FILLED_BY_GATE = {**dict.fromkeys(SIGNALS.values(), "Long"), "guard_error": "Bool"}
"""Attributes of every hop. A subject that brings one of them itself is denied."""

FACTS: dict[Hop, dict[str, str]] = {
    Hop.INPUT: {"stake_cents": "Long"},
    Hop.RETRIEVED: {"source": "String"},
    Hop.PROPOSAL: {
        "persona": "String",
        "action": "String",
        "confidence_bp": "Long",
        "reason_count": "Long",
        "has_rationale": "Bool",
        "evidence_count": "Long",
    },
    Hop.ARGUMENTS: {
        "action": "String",
        "stake_cents": "Long",
        "reason_count": "Long",
        "explained": "Bool",
        "margin_bp": "Long",
        "rounds": "Long",
        "strategy": "String",
        "result": "String",
        "memory_degraded": "Bool",
        "approved": "Bool",
    },
    Hop.RESPONSE: {"status": "String"},
}
"""Hop -> the facts a subject must bring, all of them and no others.

`approved`: a person's answer bound to exactly this digest stands.
"""


def principal_type(hop: Hop) -> str:
    """Who acts at a hop: a persona proposes; everything else is done for the submitter."""
    return "Persona" if hop is Hop.PROPOSAL else "Submitter"


def _action(hop: Hop) -> str:
    attributes = ", ".join(f"{name}: {kind}" for name, kind in sorted({**FILLED_BY_GATE, **FACTS[hop]}.items()))
    applies = f"principal: [{principal_type(hop)}], resource: [Task], context: {{{attributes}}}"
    return f'action "{hop}" appliesTo {{ {applies} }};'


SCHEMA = "\n".join(["entity Persona;", "entity Submitter;", "entity Task;", *(_action(hop) for hop in Hop)]) + "\n"
"""The Cedar schema text."""


@cache
def schema() -> cedarpy.Schema:
    """The schema, parsed once in a process."""
    return cedarpy.Schema.from_str(SCHEMA)
