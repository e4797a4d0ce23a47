"""Approvals by several people, roles and who granted them, escalation chains, and notices to send out."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create everything."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())
