"""Bring a database to the newest migration."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from langgraph.checkpoint.postgres import PostgresSaver

from storage.engine import sync_url
from storage.sessions import plain_url


def upgrade(dsn: str) -> None:
    """Run every migration that the database at `dsn` has not had, LangGraph's own for its checkpoints among them."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = sync_url(dsn)
    command.upgrade(config, "head")
    with PostgresSaver.from_conn_string(plain_url(dsn)) as saver:
        saver.setup()
