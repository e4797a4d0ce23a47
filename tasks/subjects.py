"""What the gate sees of a task's input and of a decided action; from records it is the same."""

from collections.abc import Mapping
from typing import Any

from domain.approval import Approval, ApprovalStatus
from domain.canonical import canonical_json
from domain.decision import Decision
from domain.guard import Hop, Subject
from domain.proposal import Option
from domain.task_type import SubtaskSpec, TaskType
from tasks.taint import free_text, provenance


def stake_cents(task_type: TaskType, payload: Mapping[str, Any]) -> int:
    """The amount at stake; 0 where the task type names no field or the field is empty."""
    value = payload.get(task_type.stake_field or "")
    return round(float(value) * 100) if isinstance(value, int | float) else 0


def input_subject(task_type: TaskType, payload: Mapping[str, Any]) -> Subject:
    """The payload at the door."""
    # Filters read text; a number cannot carry a secret or an instruction, nor can one of a list of values.
    free = free_text(task_type)
    texts = {
        name: value
        for name, value in payload.items()
        if not isinstance(value, int | float | None) and (name in free or not _is_listed(task_type, name, value))
    }
    facts = {"stake_cents": stake_cents(task_type, payload), "payload": dict(payload)}
    return Subject(hop=Hop.INPUT, text=canonical_json(texts), facts=facts)


def _is_listed(task_type: TaskType, name: str, value: Any) -> bool:
    field = task_type.payload_schema.get("properties", {}).get(name, {})
    return value in field.get("enum", [field.get("const")])


def memory_subject(text: str, kind: str, data: Mapping[str, Any]) -> Subject:
    """A recalled memory."""
    return Subject(hop=Hop.RETRIEVED, text=text, facts={"source": kind, "tainted": data.get("tainted") is True})


def response_subject(subtask_id: str, executor: str, response: Any) -> Subject:
    """An executor's answer."""
    status = response.get("status", "") if isinstance(response, Mapping) else ""
    facts = {"subtask": subtask_id, "executor": executor, "status": str(status)}
    return Subject(hop=Hop.RESPONSE, text=canonical_json(response), facts=facts)


def arguments_subject(
    task_type: TaskType,
    payload: Mapping[str, Any],
    decision: Decision,
    option: Option,
    approval: Approval | None,
    *,
    tainted: bool,
) -> Subject:
    """The action and its arguments, with the approval that is bound to them."""
    said = [option.name, option.arguments, decision.reasons]
    spec: SubtaskSpec = task_type.subtask(decision.subtask_id)
    declared = task_type.action(spec.id, option.action)
    return Subject(
        hop=Hop.ARGUMENTS,
        text=canonical_json(said),
        facts={
            "subtask": spec.id,
            "action": option.action,
            "arguments": dict(option.arguments),
            "risk": declared.risk,
            "side_effect": declared.side_effect,
            "stake_cents": stake_cents(task_type, payload),
            "reason_count": len(decision.reasons) or int(approval is not None),
            "explained": is_explained(decision) or approval is not None,
            "margin_bp": round(decision.result.margin * 10_000),
            "rounds": decision.rounds,
            "strategy": decision.explanation["strategy"]["name"],
            "result": decision.result.kind.value,
            "memory_degraded": decision.memory_degraded,
            "approved": approval is not None and approval.status is ApprovalStatus.APPROVED,
            "edited": approval is not None and approval.arguments is not None,
            "tainted": tainted,
            "provenance": provenance(task_type, spec, payload),
            "payload": dict(payload),
        },
        waived=approval.overrides if approval is not None else (),
    )


def is_explained(decision: Decision) -> bool:
    """Whether somebody voted for it, and every such vote came with its grounds."""
    name = decision.option.name if decision.option else None
    grounds = [vote["rationale"] for vote in decision.explanation["votes"] if vote["option"] == name]
    return bool(grounds) and all(grounds)
