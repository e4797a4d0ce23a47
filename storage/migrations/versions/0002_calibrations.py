"""Calibrations of panels, and the audits of what they decided."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both tables."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())
