"""Who may answer, what each person answered, and what is still to be sent out about it."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.columns import col, metadata, moment, of_task, texts

role_grants = Table(
    "role_grants",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    *texts("principal", "role", "granted_by", "reason"),
    moment("granted_at", now=True),
    col("revoked_by", Text, null=True),
    col("revoke_reason", Text, null=True),
    moment("revoked_at", null=True),
    UniqueConstraint("id", "principal", "role"),
    Index("uq_role_grants_standing", "principal", "role", unique=True, postgresql_where=text("revoked_at IS NULL")),
)

approval_answers = Table(
    "approval_answers",
    metadata,
    Column("approval_id", Text, primary_key=True),
    Column("principal", Text, primary_key=True),
    of_task(),
    *texts("submitter", "role"),
    col("grant_id", BigInteger, null=True),
    col("answer", Text),
    col("option", Text, null=True),
    col("arguments", JSONB(none_as_null=True), null=True),
    *texts("choice", "reason"),
    moment("at"),
    ForeignKeyConstraint(["approval_id", "submitter"], ["approvals.id", "approvals.submitter"]),
    # The answer names the very grant that it was given under; None where nobody holds the role.
    ForeignKeyConstraint(
        ["grant_id", "principal", "role"], ["role_grants.id", "role_grants.principal", "role_grants.role"]
    ),
    Index("ix_approval_answers_task_id", "task_id"),
)

notices = Table(
    "notices",
    metadata,
    Column("key", Text, primary_key=True),
    of_task(),
    *texts("approval_id", "what", "role"),
    moment("at", now=True),
    moment("due_at", now=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    moment("sent_at", null=True),
    moment("failed_at", null=True),
    col("error", Text, null=True),
    Index("ix_notices_due", "due_at", postgresql_where=text("sent_at IS NULL AND failed_at IS NULL")),
)
