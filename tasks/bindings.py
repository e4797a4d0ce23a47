"""What a person is shown, and the digest that binds an answer to exactly that."""

from typing import Any

from domain.approval import Approval
from domain.canonical import digest
from domain.decision import Decision
from domain.proposal import Option
from domain.task_type import SubtaskSpec
from negotiation.rounds import declared_options
from tasks.context import GRAPH_VERSION, StageContext

ESCALATED = "escalated_from"
"""What a second role is shown beside the rest: the approval that nobody answered."""


def shown_to_person(context: StageContext, spec: SubtaskSpec, decision: Decision, cause: str) -> dict[str, Any]:
    """Everything the answer will be bound to, as plain JSON."""
    hidden = set(spec.context.hide)
    option = decision.option
    options = {one.name: one for one in declared_options(spec)}
    if option is not None:
        options[option.name] = option
    return {
        "question": spec.question,
        "cause": cause,
        "action": option.name if option else None,
        "arguments": option.arguments if option else {},
        "options": sorted(options),
        "payload": {name: value for name, value in context.task.payload.items() if name not in hidden},
        "reasons": list(decision.reasons),
        "tally": decision.result.tally,
        "reason": decision.result.reason,
        "rounds": decision.rounds,
        "policy_hash": context.gate.policy_hash,
        "graph_version": GRAPH_VERSION,
        "context_hash": decision.snapshot_hash,
    }


def is_bound(context: StageContext, spec: SubtaskSpec, decision: Decision, approval: Approval) -> bool:
    """Whether the answer stands for what is true now: same action, arguments, policies, graph and context."""
    shown = shown_to_person(context, spec, decision, approval.cause)
    if ESCALATED in approval.shown:
        shown[ESCALATED] = approval.shown[ESCALATED]
    return approval.stands and approval.digest == digest(shown)


def chosen_option(spec: SubtaskSpec, decision: Decision, approval: Approval | None) -> Option | None:
    """The person's choice where there is one, or the safe action in its place, else the panel's."""
    if approval is None or approval.option is None:
        return decision.option
    if decision.option is not None and decision.option.name == approval.option:
        return decision.option
    return next((one for one in declared_options(spec) if one.name == approval.option), None)
