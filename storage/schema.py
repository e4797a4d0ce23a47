"""Every table that the migrations make."""

from storage import approval_tables, audit_tables, evaluation_tables, tables
from storage.columns import metadata

__all__ = ["approval_tables", "audit_tables", "evaluation_tables", "metadata", "tables"]
