"""The tables. Personal data sits in `tasks.payload`, `snapshots.contexts`, `proposals.body`, `approvals.shown`,
`approval_answers.arguments`, `memories.text` and `actions.request` alone, so that it can be erased."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.columns import col, metadata, moment, of_round, of_subtask, of_task, texts

tasks = Table(
    "tasks",
    metadata,
    Column("id", Text, primary_key=True),
    col("task_type", Text),
    col("type_version", Integer),
    col("payload", JSONB),
    col("request_hash", Text),
    col("idempotency_key", Text, null=True),
    *texts("principal", "lane", "status"),
    col("seed", BigInteger),
    col("batch_id", Text, null=True),
    col("case_key", Text, null=True),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    moment("memory_as_of"),
    moment("created_at", now=True),
    moment("started_at", null=True),
    moment("ended_at", null=True),
    moment("deadline_at"),
    Column("parked_seconds", Double, nullable=False, server_default=text("0")),
    moment("parked_at", null=True),
    Column("due", Boolean, nullable=False, server_default=text("true")),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    col("lease_owner", Text, null=True),
    moment("lease_until", null=True),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("escalated", Boolean, nullable=False, server_default=text("false")),
    col("answer", Text, null=True),
    col("plan", JSONB, null=True),
    col("summary", JSONB, null=True),
    col("reason", Text, null=True),
    Column("pause_requested", Boolean, nullable=False, server_default=text("false")),
    Column("crashes", Integer, nullable=False, server_default=text("0")),
    col("forked_from", Text, null=True),
    col("fork_stage", Text, null=True),
    Column("dry_run", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("principal", "idempotency_key"),
    Index("ix_tasks_due", text("priority DESC"), "created_at", postgresql_where=text("due")),
    Index("ix_tasks_listing", "created_at", "id"),
    Index("ix_tasks_status_listing", "status", "created_at", "id"),
    Index("ix_tasks_type_listing", "task_type", "created_at", "id"),
    Index("ix_tasks_batch_id", "batch_id"),
    Index("ix_tasks_case", "task_type", "case_key"),
)

subtasks = Table(
    "subtasks",
    metadata,
    *of_subtask(),
    col("status", Text),
    col("action", Text, null=True),
    col("reason", Text, null=True),
    moment("created_at", now=True),
    moment("ended_at", null=True),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=True),
    of_task(),
    *texts("key", "event"),
    col("subtask_id", Text, null=True),
    col("fence", BigInteger),
    col("data", JSONB),
    moment("at", now=True),
    UniqueConstraint("task_id", "key"),
)

snapshots = Table(
    "snapshots",
    metadata,
    *of_round(),
    col("hash", Text),
    col("contexts", JSONB),
    col("degraded", Text, null=True),
)

proposals = Table(
    "proposals",
    metadata,
    *of_round(),
    Column("persona", Text, primary_key=True),
    col("key", Text),
    col("option", Text, null=True),
    col("confidence", Double),
    col("struck", Text, null=True),
    col("body", JSONB),
)

telemetry = Table(
    "telemetry",
    metadata,
    *of_round(),
    Column("persona", Text, primary_key=True),
    col("latency_ms", Double),
    col("prompt_tokens", Integer),
    col("completion_tokens", Integer),
    col("model", Text, null=True),
    col("fallback", Boolean),
    col("error", Text, null=True),
)

decisions = Table(
    "decisions",
    metadata,
    *of_subtask(),
    col("kind", Text),
    col("option", Text, null=True),
    col("action", Text, null=True),
    col("strategy", Text),
    col("margin", Double),
    col("rounds", Integer),
    col("body", JSONB),
    moment("at", now=True),
)

verdicts = Table(
    "verdicts",
    metadata,
    of_task(primary=True),
    Column("key", Text, primary_key=True),
    col("subtask_id", Text, null=True),
    *texts("hop", "effect"),
    col("policy_ids", JSONB),
    col("policy_hash", Text),
    col("body", JSONB),
    moment("at", now=True),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    of_task(),
    *texts("subtask_id", "cause"),
    col("shown", JSONB),
    *texts("digest", "role", "submitter", "status"),
    moment("created_at", now=True),
    moment("expires_at"),
    col("option", Text, null=True),
    col("answered_by", Text, null=True),
    col("reason", Text, null=True),
    moment("answered_at", null=True),
    Column("consumed", Boolean, nullable=False, server_default=text("false")),
    Column("step", Integer, nullable=False, server_default=text("0")),
    moment("next_at", null=True),
    UniqueConstraint("task_id", "subtask_id", "digest"),
    UniqueConstraint("id", "submitter"),
    Index("ix_approvals_open", "expires_at", postgresql_where=text("status = 'open'")),
    Index("ix_approvals_next", "next_at", postgresql_where=text("status = 'open' AND next_at IS NOT NULL")),
)

actions = Table(
    "actions",
    metadata,
    *of_subtask(),
    *texts("idempotency_key", "executor"),
    col("request", JSONB),
    col("status", Text),
    col("fence", BigInteger),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    col("response", JSONB, null=True),
    col("error", Text, null=True),
    moment("at", now=True),
    Column("kind", Text, nullable=False, server_default=text("'dedup'")),
    moment("sent_at", null=True),
    UniqueConstraint("idempotency_key"),
)

breakers = Table(
    "breakers",
    metadata,
    Column("executor", Text, primary_key=True),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    moment("opened_at", null=True),
    col("note", Text, null=True),
)

records = Table(
    "records",
    metadata,
    Column("idempotency_key", Text, primary_key=True),
    of_task(),
    col("action", Text),
    col("arguments", JSONB),
    moment("at", now=True),
)

memories = Table(
    "memories",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, Identity(), nullable=False),
    *texts("kind", "task_type"),
    col("task_id", Text, null=True),
    col("text", Text),
    col("data", JSONB),
    moment("created_at", now=True),
    moment("known_at", null=True),
    Index("ix_memories_known", "seq", postgresql_where=text("known_at IS NOT NULL")),
    Index("ix_memories_task_id", "task_id"),
)

outcomes = Table(
    "outcomes",
    metadata,
    of_task(primary=True),
    *texts("label", "right_action", "recorded_by"),
    moment("recorded_at", now=True),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    col("pid", Integer),
    col("host", Text),
    moment("started_at", now=True),
    moment("heartbeat_at", now=True),
    moment("stopped_at", null=True),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("task_type", "source", "principal", "lane"),
    col("rows", Integer),
    col("bad", JSONB),
    moment("memory_as_of", now=True),
    moment("created_at", now=True),
)

calibrations = Table(
    "calibrations",
    metadata,
    *texts("task_type", "subtask_id"),
    Column("version", Integer, nullable=False),
    *texts("status", "strategy"),
    col("panel", JSONB),
    col("body", JSONB),
    moment("created_at", now=True),
    moment("activated_at", null=True),
    moment("ended_at", null=True),
    col("note", Text, null=True),
    PrimaryKeyConstraint("task_type", "subtask_id", "version"),
    Index(
        "uq_calibrations_standing",
        "task_type",
        "subtask_id",
        "status",
        unique=True,
        postgresql_where=text("status IN ('active', 'shadow')"),
    ),
)

audits = Table(
    "audits",
    metadata,
    *of_subtask(),
    col("calibration_version", Integer),
    col("score", Double),
    moment("drawn_at", now=True),
    col("right", Boolean, null=True),
    moment("resolved_at", null=True),
    Index("ix_audits_calibration", "subtask_id", "calibration_version"),
    Index("ix_audits_open", "drawn_at", postgresql_where=text("resolved_at IS NULL")),
)
