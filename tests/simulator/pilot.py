"""The simulated pilots: small task types over every kind of target, alone, in a chain, at once and with a fallback."""

from pathlib import Path
from typing import Any

import yaml

REVIEW_FROM, DENY_FROM = 1000, 9000
"""Amounts from which policy asks a person, and from which it refuses."""
AMOUNTS = (500, 500, 500, 3000, 3000, 9500)
YEARS, REPORTS = (1, 12), (0, 5)
"""The one persona reads the years, the other the reports: they agree on two of the four pairs, and are level else."""
ACTIONS = ("go", "stop")

_POLICIES = f"""
@id("PERMIT")
@reason("Within policy")
permit (principal, action, resource);

@id("REV-001")
@effect("require_approval")
@reason("So much needs a person")
@owner("simulation")
forbid (principal, action == Action::"arguments", resource)
when {{ context.stake_cents >= {REVIEW_FROM * 100} && !context.approved }};

@id("DENY-001")
@effect("deny")
@reason("Too much")
@owner("simulation")
forbid (principal, action == Action::"arguments", resource)
when {{ context.stake_cents >= {DENY_FROM * 100} }};
"""


def _step(name: str, kind: str, *after: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "question": f"What of {name}?",
        "panel": ["by_years", "by_reports"],
        "actions": [{"name": action} for action in ACTIONS],
        "context": {"working": ["years", "reports", "amount"]},
        "strategy": {"name": "plurality"},
        "executor": "world",
        "executor_parameters": {"kind": kind, "target": name},
        "retry": {"attempts": 2, "backoff": "fixed"},
        "depends_on": list(after),
        **more,
    }


_FALLBACK = {
    "breaker": {"failures": 2, "wait": "PT20S"},
    "fallback": {"executor": "spare", "parameters": {"kind": "dedup", "target": "spare"}},
}
SHAPES: dict[str, list[dict[str, Any]]] = {
    "one_dedup": [_step("pay", "dedup")],
    "one_fenced": [_step("pay", "fenced")],
    "one_query": [_step("pay", "query")],
    "one_blind": [_step("pay", "blind")],
    "chain": [
        _step("book", "dedup", compensate="cancel"),
        _step("charge", "query", "book", compensate="cancel"),
        _step("ship", "fenced", "charge"),
    ],
    "chain_blind": [
        _step("book", "dedup", compensate="cancel"),
        _step("charge", "blind", "book", compensate="cancel"),
        _step("ship", "dedup", "charge"),
    ],
    "fan": [_step("left", "dedup"), _step("right", "blind"), _step("both", "fenced", "left", "right")],
    "fallback": [_step("pay", "dedup", **_FALLBACK)],
}
ASKED: dict[str, dict[str, Any]] = {
    "one_fenced": {
        "quorum": 2,
        "of": 3,
        "chain": [{"role": "head", "after": "PT1M"}, {"role": "board", "after": "PT10M"}],
    }
}
"""Shape -> of whom it asks; else of anybody."""


def write_pilots(root: Path) -> Path:
    """The catalog's folder."""
    for name, steps in SHAPES.items():
        folder = root / name
        (folder / "personas").mkdir(parents=True)
        (folder / "task_type.yaml").write_text(yaml.safe_dump(_task_type(name, steps), sort_keys=False))
        (folder / "policies.cedar").write_text(_POLICIES)
        for persona in (_persona("by_years", "years"), _persona("by_reports", "reports", falling=True)):
            (folder / "personas" / f"{persona['id']}.yaml").write_text(yaml.safe_dump(persona, sort_keys=False))
    return root


def _task_type(name: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
    number = {"type": "number", "minimum": 0}
    fields = ("years", "reports", "amount")
    return {
        "name": name,
        "version": 1,
        "payload_schema": {
            "type": "object",
            "additionalProperties": False,
            "required": list(fields),
            "properties": dict.fromkeys(fields, number),
        },
        "answer": steps[-1]["id"],
        "stake_field": "amount",
        "sla": {"deadline": "PT10M", "approval_deadline": "PT1H"},
        "approvals": ASKED.get(name, {}),
        "plan": {"subtasks": steps},
    }


def _persona(name: str, field: str, *, falling: bool = False) -> dict[str, Any]:
    good = {"points": 20, "reason": f"{field} speaks for it."}
    bad = {"points": -20, "reason": f"{field} speaks against it."}
    low, high = (good, bad) if falling else (bad, good)
    parameters = {
        "positive_action": ACTIONS[0],
        "negative_action": ACTIONS[1],
        "base": 0,
        "scale": 0.1,
        "criteria": [{"id": field, "field": field, "null": bad, "bins": [{"below": 2, **low}, high]}],
    }
    reasoner = {"kind": "scorecard", "parameters": parameters}
    return {"id": name, "version": 1, "role": name, "view": sorted({field, "amount"}), "reasoner": reasoner}
