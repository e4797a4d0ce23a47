"""The tables. Personal data sits in `tasks.payload`, `snapshots.contexts`, `proposals.body`, `approvals.shown`,
`memories.text` and `actions.request` alone, so that it can be erased."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.type_api import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _time(name: str, *, now: bool = False, null: bool = False) -> Column[Any]:
    return Column(name, DateTime(timezone=True), server_default=func.now() if now else None, nullable=null)


def _task(*, primary: bool = False) -> Column[Any]:
    return Column("task_id", Text, ForeignKey("tasks.id"), primary_key=primary, nullable=False)


def _col(name: str, kind: type[TypeEngine[Any]] | TypeEngine[Any], *, null: bool = False) -> Column[Any]:
    return Column(name, kind, nullable=null)


def _texts(*names: str) -> list[Column[Any]]:
    return [_col(name, Text) for name in names]


tasks = Table(
    "tasks",
    metadata,
    Column("id", Text, primary_key=True),
    _col("task_type", Text),
    _col("type_version", Integer),
    _col("payload", JSONB),
    _col("request_hash", Text),
    _col("idempotency_key", Text, null=True),
    *_texts("principal", "lane", "status"),
    _col("seed", BigInteger),
    _col("batch_id", Text, null=True),
    _col("case_key", Text, null=True),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    _time("memory_as_of"),
    _time("created_at", now=True),
    _time("started_at", null=True),
    _time("ended_at", null=True),
    _time("deadline_at"),
    Column("parked_seconds", Double, nullable=False, server_default=text("0")),
    _time("parked_at", null=True),
    Column("due", Boolean, nullable=False, server_default=text("true")),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    _col("lease_owner", Text, null=True),
    _time("lease_until", null=True),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("escalated", Boolean, nullable=False, server_default=text("false")),
    _col("answer", Text, null=True),
    _col("plan", JSONB, null=True),
    _col("summary", JSONB, null=True),
    _col("reason", Text, null=True),
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
    _task(primary=True),
    Column("subtask_id", Text, primary_key=True),
    _col("status", Text),
    _col("action", Text, null=True),
    _col("reason", Text, null=True),
    _time("created_at", now=True),
    _time("ended_at", null=True),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=True),
    _task(),
    *_texts("key", "event"),
    _col("subtask_id", Text, null=True),
    _col("fence", BigInteger),
    _col("data", JSONB),
    _time("at", now=True),
    UniqueConstraint("task_id", "key"),
)

snapshots = Table(
    "snapshots",
    metadata,
    _task(primary=True),
    Column("subtask_id", Text, primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    _col("hash", Text),
    _col("contexts", JSONB),
    _col("degraded", Text, null=True),
)

proposals = Table(
    "proposals",
    metadata,
    _task(primary=True),
    Column("subtask_id", Text, primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("persona", Text, primary_key=True),
    _col("key", Text),
    _col("option", Text, null=True),
    _col("confidence", Double),
    _col("struck", Text, null=True),
    _col("body", JSONB),
)

telemetry = Table(
    "telemetry",
    metadata,
    _task(primary=True),
    Column("subtask_id", Text, primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("persona", Text, primary_key=True),
    _col("latency_ms", Double),
    _col("prompt_tokens", Integer),
    _col("completion_tokens", Integer),
    _col("model", Text, null=True),
    _col("fallback", Boolean),
    _col("error", Text, null=True),
)

decisions = Table(
    "decisions",
    metadata,
    _task(primary=True),
    Column("subtask_id", Text, primary_key=True),
    _col("kind", Text),
    _col("option", Text, null=True),
    _col("action", Text, null=True),
    _col("strategy", Text),
    _col("margin", Double),
    _col("rounds", Integer),
    _col("body", JSONB),
    _time("at", now=True),
)

verdicts = Table(
    "verdicts",
    metadata,
    _task(primary=True),
    Column("key", Text, primary_key=True),
    _col("subtask_id", Text, null=True),
    *_texts("hop", "effect"),
    _col("policy_ids", JSONB),
    _col("policy_hash", Text),
    _col("body", JSONB),
    _time("at", now=True),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    _task(),
    *_texts("subtask_id", "cause"),
    _col("shown", JSONB),
    *_texts("digest", "role", "submitter", "status"),
    _time("created_at", now=True),
    _time("expires_at"),
    _col("option", Text, null=True),
    _col("answered_by", Text, null=True),
    _col("reason", Text, null=True),
    _time("answered_at", null=True),
    Column("consumed", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("task_id", "subtask_id", "digest"),
    Index("ix_approvals_open", "expires_at", postgresql_where=text("status = 'open'")),
)

actions = Table(
    "actions",
    metadata,
    _task(primary=True),
    Column("subtask_id", Text, primary_key=True),
    *_texts("idempotency_key", "executor"),
    _col("request", JSONB),
    _col("status", Text),
    _col("fence", BigInteger),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _col("response", JSONB, null=True),
    _col("error", Text, null=True),
    _time("at", now=True),
    UniqueConstraint("idempotency_key"),
)

records = Table(
    "records",
    metadata,
    Column("idempotency_key", Text, primary_key=True),
    _task(),
    _col("action", Text),
    _col("arguments", JSONB),
    _time("at", now=True),
)

memories = Table(
    "memories",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seq", BigInteger, Identity(), nullable=False),
    *_texts("kind", "task_type"),
    _col("task_id", Text, null=True),
    _col("text", Text),
    _col("data", JSONB),
    _time("created_at", now=True),
    _time("known_at", null=True),
    Index("ix_memories_known", "seq", postgresql_where=text("known_at IS NOT NULL")),
    Index("ix_memories_task_id", "task_id"),
)

outcomes = Table(
    "outcomes",
    metadata,
    _task(primary=True),
    *_texts("label", "right_action", "recorded_by"),
    _time("recorded_at", now=True),
)

metrics = Table(
    "metrics",
    metadata,
    *_texts("bucket", "segment", "metric"),
    Column("version", Integer, nullable=False),
    _col("value", Double, null=True),
    _col("low", Double, null=True),
    _col("high", Double, null=True),
    _col("n", BigInteger),
    _time("computed_at", now=True),
    PrimaryKeyConstraint("bucket", "segment", "metric", "version"),
)

reports = Table(
    "reports",
    metadata,
    Column("id", Text, primary_key=True),
    _col("task_type", Text),
    _time("since"),
    _time("until"),
    _col("trusted", Boolean),
    _col("summary", JSONB),
    *_texts("html_path", "json_path"),
    _time("created_at", now=True),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    _col("pid", Integer),
    _col("host", Text),
    _time("started_at", now=True),
    _time("heartbeat_at", now=True),
    _time("stopped_at", null=True),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    *_texts("task_type", "source", "principal", "lane"),
    _col("rows", Integer),
    _col("bad", JSONB),
    _time("memory_as_of", now=True),
    _time("created_at", now=True),
)
