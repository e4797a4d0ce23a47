"""Every table that the migrations make."""

from storage import audit_tables, evaluation_tables, tables
from storage.columns import metadata

__all__ = ["audit_tables", "evaluation_tables", "metadata", "tables"]
