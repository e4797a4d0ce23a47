"""Alembic's entry: one advisory lock, so that two starters do not migrate at once."""

from alembic import context
from sqlalchemy import create_engine, text

from storage.schema import metadata

_LOCK = 7_243_901

engine = create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
    connection.commit()
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
    connection.commit()
engine.dispose()
