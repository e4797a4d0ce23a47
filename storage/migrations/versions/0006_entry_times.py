"""An entry of the audit chain has the time of its transaction, as every row that is written with it."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Replace the function that appends."""
    op.execute(Path(__file__).with_suffix(".sql").read_text())
