"""Where each subtask and the task must have ended, from the records alone."""

from collections.abc import Sequence
from typing import Any

from control_plane.services.replay_checks import Check, Material, compared
from domain.action import UNDO
from domain.approval import DONE, EFFECT_UNKNOWN, QUESTIONS
from domain.plan import Plan
from domain.task import SubtaskStatus, TaskStatus
from planning.schedule import advance
from storage.repositories.listing import Row
from storage.repositories.records import TaskRecords
from tasks.report import answer_of, end_state, halt_of

_HALTS = frozenset({TaskStatus.CANCELLED, TaskStatus.EXPIRED})
_ACTIONS = {"done": SubtaskStatus.DONE, "failed": SubtaskStatus.FAILED, "refused": SubtaskStatus.FAILED}


def check_end(material: Material) -> Check:
    """Subtasks and end state recomputed from decisions, verdicts, approvals and actions."""
    records = material.records
    row, status = records.row, TaskStatus(records.row["status"])
    if status is TaskStatus.QUARANTINED:
        return Check(stage="report", outcome="not comparable", what=("the task was quarantined, not reported",))
    event = records.event("intake")
    denied = event["data"]["denied"] if event else None
    halted = status.value if status in _HALTS else None
    ends = {one["subtask_id"]: _subtask(records, one) for one in records.subtasks}
    halt = halt_of(records.verdicts)
    _skip(row["plan"], ends, halt is not None)
    rows = [
        {**one, "status": ends[one["subtask_id"]][0].value, "action": ends[one["subtask_id"]][1]}
        for one in sorted(records.subtasks, key=lambda one: str(one["subtask_id"]))
    ]
    now, _ = end_state(material.kind, rows, denied, halted, halt)
    answer = answer_of(material.kind, rows, _undone(records))
    was = {
        "status": status.value,
        "answer": row["answer"],
        "subtasks": {one["subtask_id"]: [one["status"], one["action"]] for one in records.subtasks},
    }
    again = {
        "status": now.value,
        "answer": answer,
        "subtasks": {name: [end.value, action] for name, (end, action) in ends.items()},
    }
    return compared("report", was, again)


def _undone(records: TaskRecords) -> set[str]:
    """Subtasks that were undone, by an action or by hand."""
    steps = {step for step, action in records.actions.items() if action["status"] == "done"}
    steps |= {one["subtask_id"] for one in records.approvals if one["cause"] in QUESTIONS and one["option"] == DONE}
    return {step.removesuffix(UNDO) for step in steps if step.endswith(UNDO)}


End = tuple[SubtaskStatus, str | None]


def _subtask(records: TaskRecords, row: dict[str, Any]) -> End:
    """Where the subtask stands by its ledger, its last verdict and its last approval; pending where none says."""
    name = row["subtask_id"]
    action = records.actions.get(name)
    if action is not None and action["status"] in _ACTIONS:
        end = _ACTIONS[action["status"]]
        return end, action["request"].get("action") if end is SubtaskStatus.DONE else None
    if action is not None and action["status"] == "unknown":
        # A person settles what became of it; without an answer it counts as not done.
        told = [one for one in records.approvals if one["subtask_id"] == name and one["cause"] == EFFECT_UNKNOWN]
        if told and told[-1]["option"] == "done":
            return SubtaskStatus.DONE, action["request"].get("action")
        return SubtaskStatus.FAILED, None
    verdicts = [one for one in records.verdicts if one["subtask_id"] == name and one["hop"] == "arguments"]
    approvals = [one for one in records.approvals if one["subtask_id"] == name]
    if verdicts and verdicts[-1]["effect"] in ("deny", "halt") and not _overriding(verdicts[-1], approvals):
        return SubtaskStatus.DENIED, None
    if approvals and approvals[-1]["status"] in ("refused", "expired"):
        # One that its task's end closed leaves its subtask skipped.
        closed = row["status"] == SubtaskStatus.SKIPPED and approvals[-1]["status"] == "expired"
        return (SubtaskStatus.SKIPPED if closed else SubtaskStatus.DENIED), None
    ended = SubtaskStatus(row["status"])
    return (SubtaskStatus.PENDING if ended is SubtaskStatus.SKIPPED else ended), None


def _overriding(verdict: Row, approvals: Sequence[Row]) -> bool:
    """Whether somebody was asked to put this denial aside, so that the request says how it ended."""
    last = approvals[-1] if approvals else None
    return last is not None and "denied" in last["shown"] and verdict["body"].get("approval_id") != last["id"]


def _skip(plan: dict[str, Any] | None, ends: dict[str, End], halted: bool) -> None:
    """What the plan leaves out, and what the task's end cut off."""
    if plan is None:
        return
    statuses = {name: end for name, (end, _) in ends.items()}
    moves = advance(Plan.model_validate(plan), statuses, {name: action for name, (_, action) in ends.items()})
    stopped = [name for name, end in statuses.items() if end is SubtaskStatus.PENDING and name not in moves.ready]
    bad = {SubtaskStatus.DENIED, SubtaskStatus.FAILED}
    halted = halted or any(end in bad for end in statuses.values())
    for name in (*moves.skip, *stopped, *(moves.ready if halted else ())):
        ends[name] = (SubtaskStatus.SKIPPED, None)
