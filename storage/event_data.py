"""What of an event's data is nobody's, and stays when the task's person is erased."""

from collections.abc import Mapping

_ASKED = ("approval", "cause", "digest", "role", "quorum", "of", "note")
_ANSWERED = ("approval", "answer", "option", "by", "role", "digest", "note", "edited", "overrides", "status", "answers")
_TAKEN = ("approval", "status", "by")
_ROUND = ("round", "kind", "option", "margin")
_JUDGED = ("policy_ids", "modified_by", "instead", "overridden")
_FORK = ("stage", "dry_run", "by", "from", "fork", "request_hash")
_SUBMITTED = ("task_type", "type_version", "request_hash", "principal", "lane", "seed", "priority", "batch_id")

KEPT: Mapping[str, tuple[str, ...]] = {
    "task.submitted": _SUBMITTED,
    "task.erased": ("by", "erased_tasks", "places"),
    "fork.created": _FORK,
    "intake.accepted": ("effect", "redacted"),
    "intake.denied": ("effect", "redacted"),
    "plan.made": ("planner", "subtasks"),
    "negotiate.again": _ROUND,
    "negotiate.decided": _ROUND,
    "negotiate.escalated": _ROUND,
    "negotiate.failed": _ROUND,
    "negotiate.audit": ("calibration", "score", "share"),
    "deadline.passed": ("declared", "outcome"),
    "dispatch.skipped": (),
    "guard.allow": _JUDGED,
    "guard.redact": _JUDGED,
    "guard.downgrade": _JUDGED,
    "guard.require_approval": _JUDGED,
    "guard.deny": _JUDGED,
    "guard.halt": _JUDGED,
    "guard.unanswered": ("option",),
    "approve.asked": _ASKED,
    "approve.denied": ("cause",),
    "approve.answered": (*_ANSWERED, "quorum", "of"),
    "approve.counted": (*_ANSWERED, "quorum", "of"),
    "approve.overridden": (*_ANSWERED, "quorum", "of"),
    "approve.approved": _TAKEN,
    "approve.refused": _TAKEN,
    "approve.expired": _TAKEN,
    "approve.defaulted": ("approval", "option", "of"),
    "approve.escalated": ("approval", "of", "to", "step", "steps", "digest"),
    "settle.asked": (*_ASKED, "step"),
    "settle.taken": ("approval", "step", "done", "by"),
    "execute.done": ("action", "executor", "key"),
    "execute.failed": (),
    "execute.unknown": ("step",),
    "execute.waits": (),
    "execute.fallback": ("executor", "instead_of"),
    "breaker.opened": ("target", "step"),
    "breaker.half_open": ("target", "step"),
    "breaker.closed": ("target", "step"),
    "compensate.began": ("cause",),
    "compensate.undone": ("step", "executor", "key"),
    "compensate.failed": ("step",),
    "compensate.waits": (),
    "compensate.done": ("cause", "skipped", "undone", "not_undone"),
    "consolidate.done": ("memory",),
    "report.done": ("status", "answer"),
    "outcome.recorded": ("label", "right_action", "recorded_by"),
    "control.cancel": ("by",),
    "control.pause": ("by",),
    "control.resume": ("by",),
    "run.paused": (),
    "run.cut_off": ("grace_seconds",),
    "run.worker_ended": ("patience_seconds",),
    "run.failed": (),
    "run.quarantined": (),
    "sla.warned": ("ends_at", "at"),
    "sla.breached": ("ends_at", "at"),
    "prefect.settled": ("flow_run", "was", "now"),
    "prefect.ended": ("flow_run", "state"),
}
"""Event -> the keys of its data. Everything else goes, and all of an event that is not here."""
