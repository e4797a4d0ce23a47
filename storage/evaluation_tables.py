"""The tables of evaluations."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, PrimaryKeyConstraint, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from storage.columns import col, metadata, moment, texts

metrics = Table(
    "metrics",
    metadata,
    *texts("bucket", "segment", "metric"),
    Column("version", Integer, nullable=False),
    col("value", Double, null=True),
    col("low", Double, null=True),
    col("high", Double, null=True),
    col("n", BigInteger),
    moment("computed_at", now=True),
    PrimaryKeyConstraint("bucket", "segment", "metric", "version"),
)

reports = Table(
    "reports",
    metadata,
    Column("id", Text, primary_key=True),
    col("task_type", Text),
    moment("since"),
    moment("until"),
    col("trusted", Boolean),
    col("summary", JSONB),
    *texts("html_path", "json_path"),
    moment("created_at", now=True),
)

redteam_runs = Table(
    "redteam_runs",
    metadata,
    Column("id", Text, primary_key=True),
    *texts("task_type", "policy_hash"),
    col("passed", Boolean),
    col("body", JSONB),
    moment("created_at", now=True),
)
