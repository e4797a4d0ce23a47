"""A claims pilot of five subtasks, written as YAML and Cedar alone."""

from pathlib import Path
from typing import Any

import yaml

POLICIES = """
@id("PERMIT")
@reason("Within policy")
permit (principal, action, resource == Task::"claim");
"""
REVIEW = """
@id("PAY-001")
@effect("require_approval")
@reason("A payment needs a person")
@owner("claims")
forbid (principal, action == Action::"arguments", resource)
when { context.action == "pay"%s };
"""

CLAIM: dict[str, Any] = {"active": "yes", "reports": 3, "years": 12, "amount": 4000}


def write_claims(root: Path, *, review: str | None = None) -> Path:
    """The catalog's folder. `review`: a policy on payments, with this further condition."""
    folder = root / "pilots" / "claim"
    (folder / "personas").mkdir(parents=True)
    (folder / "task_type.yaml").write_text(yaml.safe_dump(_task_type(), sort_keys=False))
    (folder / "policies.cedar").write_text(POLICIES + (REVIEW % review if review is not None else ""))
    for persona in _personas():
        (folder / "personas" / f"{persona['id']}.yaml").write_text(yaml.safe_dump(persona, sort_keys=False))
    return folder.parent


def _task_type() -> dict[str, Any]:
    number = {"type": "number", "minimum": 0}
    properties = {"active": {"type": "string", "enum": ["yes", "no"]}, "reports": number, "years": number}
    return {
        "name": "claim",
        "version": 1,
        "payload_schema": {
            "type": "object",
            "additionalProperties": False,
            "required": list(CLAIM),
            "properties": {**properties, "amount": number},
        },
        "answer": "payout",
        "stake_field": "amount",
        "sla": {"deadline": "PT15M"},
        "plan": {
            "subtasks": [
                _subtask("coverage", ["cover_a", "cover_b"], ["covered", "uncovered"]),
                _subtask("fraud", ["fraud_a", "fraud_b"], ["clear", "suspect"]),
                _subtask("urgency", ["urgent_a", "urgent_b"], ["fast", "normal"], safe_default="normal"),
                _subtask(
                    "payout",
                    ["pay_a", "pay_b"],
                    ["pay", "reject"],
                    depends_on=["coverage", "fraud"],
                    when="coverage.action == covered",
                ),
                _subtask(
                    "letter",
                    ["letter_a", "letter_b"],
                    ["send", "hold"],
                    depends_on=["coverage"],
                    when="coverage.action == uncovered",
                ),
            ]
        },
    }


def _subtask(name: str, panel: list[str], actions: list[str], **more: Any) -> dict[str, Any]:
    strategy: dict[str, Any] = {"name": "plurality"}
    if "safe_default" in more:
        strategy["safe_default"] = more.pop("safe_default")
    declared: list[dict[str, Any]] = [{"name": action} for action in actions]
    if name == "payout":
        declared[0]["counter_arguments"] = ["share"]
    return {
        "id": name,
        "question": f"What of the {name}?",
        "panel": panel,
        "actions": declared,
        "context": {"working": ["active", "reports", "years", "amount"]},
        "strategy": strategy,
        "executor": "record_decision",
        **more,
    }


def _personas() -> list[dict[str, Any]]:
    half = {
        "name": "pay_half",
        "when": {"field": "amount", "at_least": 1000},
        "leaning": "pay",
        "action": "pay",
        "arguments": {"share": 0.5},
    }
    return [
        _persona("cover_a", "covered", "uncovered", "active"),
        _persona("cover_b", "covered", "uncovered", "active"),
        # These two read different fields, and the claim is made so that they are level.
        _persona("fraud_a", "clear", "suspect", "years"),
        _persona("fraud_b", "clear", "suspect", "reports", falling=True),
        _persona("urgent_a", "fast", "normal", "years"),
        _persona("urgent_b", "fast", "normal", "reports", falling=True),
        _persona("pay_a", "pay", "reject", "amount", counters=[half]),
        _persona("pay_b", "pay", "reject", "years", counters=[half]),
        _persona("letter_a", "send", "hold", "active"),
        _persona("letter_b", "send", "hold", "active"),
    ]


def _persona(
    name: str, positive: str, negative: str, field: str, *, falling: bool = False, counters: list[Any] | None = None
) -> dict[str, Any]:
    good = {"points": 20, "reason": f"{field} speaks for it."}
    bad = {"points": -20, "reason": f"{field} speaks against it."}
    criterion: dict[str, Any] = {"id": field, "field": field, "null": bad}
    if field == "active":
        criterion["categories"] = {"yes": good, "no": bad}
    else:
        low, high = (good, bad) if falling else (bad, good)
        criterion["bins"] = [{"below": 2, **low}, high]
    parameters: dict[str, Any] = {
        "positive_action": positive,
        "negative_action": negative,
        "base": 0,
        "scale": 0.1,
        "criteria": [criterion],
    }
    if counters:
        parameters["counters"] = counters
    reasoner = {"kind": "scorecard", "parameters": parameters}
    return {"id": name, "version": 1, "role": name, "view": sorted({field, "amount"}), "reasoner": reasoner}
