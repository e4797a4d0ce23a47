"""The audit chain, its guards and roles; pauses, forks and crashes of tasks; kinds of actions; circuit breakers."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create everything."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())
