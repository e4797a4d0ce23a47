"""Where each graph goes next: pure functions of the state."""

from domain.approval import DEFAULT, ApprovalStatus
from domain.guard import Effect
from orchestration.state import SubtaskState, TaskState


def after_intake(state: TaskState) -> str:
    """A task denied at the door is only reported."""
    return "report" if state.get("denied") else "plan"


def after_dispatch(state: TaskState) -> str:
    """Wait for people, go on, or stop."""
    return {"wait": "wait", "ended": "consolidate", "stopped": "compensate"}[state["dispatch"]]


def after_negotiate(state: SubtaskState) -> str:
    """Another round, the guard, a person, or the end of a negotiation whose deadline fails it."""
    return {"again": "negotiate", "decided": "guard", "escalated": "approve", "failed": "end"}[state["go"]]


def after_guard(state: SubtaskState) -> str:
    """What the verdict asks for; what cannot be carried out as it stands goes to a person."""
    effect = Effect(state["effect"])
    if effect is Effect.ALLOW:
        return "execute"
    return "end" if effect in (Effect.DENY, Effect.HALT) else "approve"


def after_answer(state: SubtaskState) -> str:
    """Back to the guard with the answer, on waiting, or to the end."""
    if state["answer"] in (ApprovalStatus.APPROVED, DEFAULT):
        return "guard"
    return "answer" if state["answer"] == ApprovalStatus.OPEN else "end"


def after_execute(state: SubtaskState) -> str:
    """A person is asked what became of a send that nothing tells about."""
    return "answer" if state["ended"] == "unknown" else "end"


def after_wait(state: TaskState) -> str:
    """Back to what waited for the answer."""
    return "compensate" if state["dispatch"] == "stopped" else "dispatch"


def after_compensate(state: TaskState) -> str:
    """Wait for a person who has to say what became of an action, or go on."""
    return "wait" if state.get("compensated") == "wait" else "consolidate"
