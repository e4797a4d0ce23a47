"""What people are shown, and the digest that binds their answers to exactly that."""

from collections.abc import Mapping
from typing import Any

from domain.approval import Approval
from domain.asking import Asks
from domain.canonical import digest
from domain.decision import Decision
from domain.proposal import Option
from domain.task_type import SubtaskSpec, TaskType
from negotiation.rounds import declared_options
from tasks.context import GRAPH_VERSION, StageContext

CARRIED = ("denied", "chosen")
"""Parts of what is shown that an earlier answer or a verdict led to: they are taken over, not made anew."""


def shown_now(
    task_type: TaskType,
    payload: Mapping[str, Any],
    policy_hash: str,
    spec: SubtaskSpec,
    decision: Decision,
    cause: str,
    carried: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything the answer will be bound to, as plain JSON."""
    hidden = set(spec.context.hide)
    chosen = carried.get("chosen") or {}
    option = with_choice(spec, decision, chosen.get("option"), chosen.get("arguments"))
    options = {one.name: one for one in declared_options(spec)}
    if option is not None:
        options[option.name] = option
    return {
        "question": spec.question,
        "cause": cause,
        "action": option.name if option else None,
        "arguments": option.arguments if option else {},
        "options": sorted(options),
        "payload": {name: value for name, value in payload.items() if name not in hidden},
        "reasons": list(decision.reasons),
        "tally": decision.result.tally,
        "reason": decision.result.reason,
        "rounds": decision.rounds,
        "policy_hash": policy_hash,
        "graph_version": GRAPH_VERSION,
        "context_hash": decision.snapshot_hash,
        "asks": asks_of(task_type, carried).shown(),
        **carried,
    }


def asks_of(task_type: TaskType, carried: Mapping[str, Any]) -> Asks:
    """Who has to answer: as the task type says; of a denial the role alone that may put its policies aside."""
    denied = carried.get("denied")
    if denied is None:
        return task_type.asks
    return Asks(role=denied["role"], strict=True, overrides=tuple(denied["policies"]))


def carried_by(approval: Approval) -> dict[str, Any]:
    """What the request took over from before it."""
    return {name: approval.shown[name] for name in CARRIED if name in approval.shown}


def shown_to_person(
    context: StageContext, spec: SubtaskSpec, decision: Decision, cause: str, carried: Mapping[str, Any]
) -> dict[str, Any]:
    """What is shown to a person in this run."""
    return shown_now(context.task_type, context.task.payload, context.gate.policy_hash, spec, decision, cause, carried)


def is_bound(context: StageContext, spec: SubtaskSpec, decision: Decision, approval: Approval) -> bool:
    """Whether the answer stands for what is true now: same action, arguments, people, policies, graph and context."""
    shown = shown_to_person(context, spec, decision, approval.cause, carried_by(approval))
    return approval.stands and approval.digest == digest(shown)


def chosen_option(spec: SubtaskSpec, decision: Decision, approval: Approval | None) -> Option | None:
    """People's choice where there is one, with the arguments as they edited them, or the safe action; else the
    panel's.
    """
    if approval is None:
        return decision.option
    return with_choice(spec, decision, approval.option, approval.arguments)


def with_choice(
    spec: SubtaskSpec, decision: Decision, name: str | None, arguments: Mapping[str, Any] | None
) -> Option | None:
    """The option of that name, the panel's without one; with these arguments in place of its own."""
    option = decision.option
    if name is not None and (option is None or option.name != name):
        option = next((one for one in declared_options(spec) if one.name == name), None)
    if option is None or arguments is None:
        return option
    return option.model_copy(update={"arguments": dict(arguments)})
