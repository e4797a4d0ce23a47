"""What the gate sees of a task's input and of a decided action; from records it is the same."""

from collections.abc import Mapping
from typing import Any

from domain.approval import Approval, ApprovalStatus
from domain.canonical import canonical_json
from domain.decision import Decision
from domain.guard import Hop, Subject
from domain.proposal import Option
from domain.task_type import TaskType


def stake_cents(task_type: TaskType, payload: Mapping[str, Any]) -> int:
    """The amount at stake; 0 where the task type names no field or the field is empty."""
    value = payload.get(task_type.stake_field or "")
    return round(float(value) * 100) if isinstance(value, int | float) else 0


def input_subject(task_type: TaskType, payload: Mapping[str, Any]) -> Subject:
    """The payload at the door."""
    # Filters read text; a number cannot carry a secret or an instruction.
    texts = {name: value for name, value in payload.items() if isinstance(value, str)}
    facts = {"stake_cents": stake_cents(task_type, payload)}
    return Subject(hop=Hop.INPUT, text=canonical_json(texts), facts=facts)


def arguments_subject(
    task_type: TaskType, payload: Mapping[str, Any], decision: Decision, option: Option, approval: Approval | None
) -> Subject:
    """The action and its arguments, with the approval that is bound to them."""
    said = [option.name, option.arguments, decision.reasons]
    return Subject(
        hop=Hop.ARGUMENTS,
        text=canonical_json(said),
        facts={
            "action": option.action,
            "stake_cents": stake_cents(task_type, payload),
            "reason_count": len(decision.reasons) or int(approval is not None),
            "explained": is_explained(decision) or approval is not None,
            "margin_bp": round(decision.result.margin * 10_000),
            "rounds": decision.rounds,
            "strategy": decision.explanation["strategy"]["name"],
            "result": decision.result.kind.value,
            "memory_degraded": decision.memory_degraded,
            "approved": approval is not None and approval.status is ApprovalStatus.APPROVED,
        },
    )


def is_explained(decision: Decision) -> bool:
    """Whether somebody voted for it, and every such vote came with its grounds."""
    name = decision.option.name if decision.option else None
    grounds = [vote["rationale"] for vote in decision.explanation["votes"] if vote["option"] == name]
    return bool(grounds) and all(grounds)
