"""Where something about a person may stand, column by column, and what is nobody's."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Table

from domain.task import UNDONE
from storage import approval_tables, evaluation_tables, tables

_SAID = frozenset({"rationale", "named_error", "note", "value", "reasons", "arguments"})
"""Names in a proposal or a decision beneath which a persona speaks of the case."""
_TEXTS = _SAID | {"reason", "rejected", "degraded"}
_VERDICT = (
    *("hop", "effect", "policy_ids", "policy_hash", "input_hash", "approval_id"),
    *("obligations", "overridable_by", "overridden", "downgrade_to", "redact", "modified_by", "modified"),
)
_SHOWN = ("options", "action", "policy_hash", "graph_version", "context_hash", "asks")


@dataclass(frozen=True)
class Place:
    """One column that may hold personal data."""

    table: Table
    column: str
    free: frozenset[str] | None = None
    """Of JSON: the names beneath which free text stands; None: all of it is."""
    kept: tuple[str, ...] = ()
    """In the person's own task: the names of JSON that stay; what stays of an event's data, `event_data` says."""
    said: frozenset[str] | None = None
    """In the person's own task: take out what is beneath these names, in place of all but `kept`."""
    constant: frozenset[str] = frozenset()
    """Texts of the platform's own: they say where a row stands."""
    own: bool = False
    """Whether it is the subject's own word, or a copy of it: in another subject's task it is never looked at."""
    read: bool = True
    """Whether the run of a task that has not ended may read it again, so that it must stay until the end."""


PLACES = (
    Place(tables.tasks, "payload", own=True),
    Place(tables.tasks, "summary", free=frozenset({"reason", "reasons", "error", "data"}), kept=("status", "answer")),
    Place(tables.tasks, "reason"),
    Place(tables.subtasks, "reason", constant=frozenset({UNDONE})),
    Place(tables.events, "data", read=False),
    Place(
        *(tables.snapshots, "contexts"),
        free=frozenset({"text", "rationale", "named_error", "note", "value", "reasons"}),
        read=False,
    ),
    Place(tables.proposals, "struck"),
    Place(tables.proposals, "body", free=_TEXTS, said=_SAID),
    Place(tables.telemetry, "error", read=False),
    Place(tables.decisions, "body", free=_TEXTS, said=_SAID),
    Place(tables.verdicts, "body", free=frozenset({"reasons", "reason", "error", "arguments"}), kept=_VERDICT),
    Place(tables.approvals, "shown", free=frozenset({"reasons", "reason", "arguments"}), kept=_SHOWN),
    Place(tables.approvals, "reason"),
    Place(approval_tables.approval_answers, "arguments"),
    Place(approval_tables.approval_answers, "reason"),
    Place(approval_tables.notices, "error", read=False),
    Place(tables.actions, "request", free=frozenset({"arguments"})),
    Place(tables.actions, "response"),
    Place(tables.actions, "error"),
    Place(tables.records, "arguments"),
    Place(tables.memories, "text"),
    Place(tables.memories, "data", free=frozenset(), kept=("action", "outcome", "right", "undone", "tainted")),
    # Of no task.
    Place(tables.batches, "bad", free=frozenset({"problem"})),
    Place(tables.breakers, "note"),
    Place(tables.calibrations, "note"),
    Place(evaluation_tables.reports, "summary"),
)
"""Every column that may hold something of a person: a test holds this list and the next against the schema."""

_KEY = "an id or a name of the catalog's or the platform's"
_STATE = "one of the platform's few words"
_DIGEST = "a digest"
_STAFF = "who works here, and as what"

NOBODYS: Mapping[str, Mapping[str, str]] = {
    "tasks": {
        **dict.fromkeys(("id", "task_type", "batch_id", "forked_from", "fork_stage", "lease_owner"), _KEY),
        **dict.fromkeys(("lane", "status"), _STATE),
        **dict.fromkeys(("case_key", "idempotency_key"), "a key: the person's own are replaced, others are compared"),
        "request_hash": _DIGEST,
        "principal": _STAFF,
        "answer": "an action of the catalog's",
        "plan": "made from the catalog alone",
    },
    "subtasks": {"task_id": _KEY, "subtask_id": _KEY, "status": _STATE, "action": _KEY},
    "events": {"task_id": _KEY, "key": _KEY, "event": _KEY, "subtask_id": _KEY},
    "snapshots": {"task_id": _KEY, "subtask_id": _KEY, "hash": _DIGEST, "degraded": "the class of an error"},
    "proposals": dict.fromkeys(("task_id", "subtask_id", "persona", "key", "option"), _KEY),
    "telemetry": dict.fromkeys(("task_id", "subtask_id", "persona", "model"), _KEY),
    "decisions": {
        **dict.fromkeys(("task_id", "subtask_id", "option", "action", "strategy"), _KEY),
        "kind": _STATE,
    },
    "verdicts": {
        **dict.fromkeys(("task_id", "key", "subtask_id", "policy_ids"), _KEY),
        **dict.fromkeys(("hop", "effect"), _STATE),
        "policy_hash": _DIGEST,
    },
    "approvals": {
        **dict.fromkeys(("id", "task_id", "subtask_id", "option"), _KEY),
        "cause": "policies' ids, or one of the platform's few words",
        "status": _STATE,
        "digest": _DIGEST,
        **dict.fromkeys(("role", "submitter", "answered_by"), _STAFF),
    },
    "approval_answers": {
        **dict.fromkeys(("approval_id", "task_id", "option"), _KEY),
        **dict.fromkeys(("principal", "submitter", "role"), _STAFF),
        "answer": _STATE,
        "choice": _DIGEST,
    },
    "notices": {
        **dict.fromkeys(("key", "task_id", "approval_id", "what"), _KEY),
        "role": _STAFF,
    },
    "actions": {
        **dict.fromkeys(("task_id", "subtask_id", "idempotency_key", "executor"), _KEY),
        **dict.fromkeys(("status", "kind"), _STATE),
    },
    "breakers": {"executor": _KEY},
    "records": dict.fromkeys(("idempotency_key", "task_id", "action"), _KEY),
    "memories": {"id": _KEY, "kind": _STATE, "task_type": _KEY, "task_id": _KEY},
    "outcomes": {
        "task_id": _KEY,
        **dict.fromkeys(("label", "right_action"), "a label or an action of the catalog's"),
        "recorded_by": _STAFF,
    },
    "workers": dict.fromkeys(("id", "host"), "a process and its machine"),
    "batches": {
        "id": _KEY,
        "task_type": _KEY,
        "source": "the name of a file that somebody who works here gave",
        "principal": _STAFF,
        "lane": _STATE,
    },
    "calibrations": {
        **dict.fromkeys(("task_type", "subtask_id", "strategy"), _KEY),
        "status": _STATE,
        "panel": "personas and their versions",
        "body": "counts and rates over many cases",
    },
    "audits": dict.fromkeys(("task_id", "subtask_id"), _KEY),
    "role_grants": dict.fromkeys(("principal", "role", "granted_by", "reason", "revoked_by", "revoke_reason"), _STAFF),
    "metrics": dict.fromkeys(("bucket", "segment", "metric"), "over many cases"),
    "reports": {"id": _KEY, "task_type": _KEY, "html_path": "a path of ours", "json_path": "a path of ours"},
    "redteam_runs": {
        "id": _KEY,
        "task_type": _KEY,
        "policy_hash": _DIGEST,
        "body": "attacks that are made up, and what became of them",
    },
    "audit_log": dict.fromkeys(("task_id", "event", "key", "actor", "body"), "the chain: ids, staff and digests"),
    "audit_heads": {"task_id": _KEY},
}
"""Table -> column -> why an erasure does not look at it."""
