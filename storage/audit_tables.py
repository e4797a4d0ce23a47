"""The audit chain: one chain for each task, and where each ends. Only `parley_audit_append` writes here."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from storage.columns import col, metadata, moment, texts

# No foreign key: a chain outlives whatever happens to its task's row.
audit_log = Table(
    "audit_log",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    moment("at"),
    *texts("event", "key", "actor"),
    col("fence", BigInteger),
    col("body_hash", LargeBinary),
    col("previous", LargeBinary),
    col("hash", LargeBinary),
    col("body", JSONB, null=True),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("task_id", Text, primary_key=True),
    col("seq", BigInteger),
    col("hash", LargeBinary),
)
