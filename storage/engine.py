"""Engines. The run path is async on psycopg 3; evaluation and migrations are sync on psycopg2."""

import json
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from domain.canonical import canonical_json
from storage.roles import TAKE_ROLE


def _with_driver(dsn: str, driver: str) -> str:
    # `postgres://` and any driver that the user named are accepted; which driver is used is ours to say.
    return f"postgresql+{driver}://{dsn.split('://', 1)[1]}"


def async_engine(dsn: str, *, size: int = 16) -> AsyncEngine:
    """An async engine for `postgresql://...`, with a checked pool of at most `size` connections.

    They write as the application's role (`storage.roles`).
    """
    engine = create_async_engine(
        _with_driver(dsn, "psycopg"),
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_recycle=300,
        json_serializer=canonical_json,
        json_deserializer=json.loads,
    )
    event.listen(engine.sync_engine, "connect", _take_role)
    return engine


def sync_engine(dsn: str, **options: Any) -> Engine:
    """A sync engine for `postgresql://...`, which writes as the application's role."""
    engine = create_engine(_with_driver(dsn, "psycopg2"), json_serializer=canonical_json, **options)
    event.listen(engine, "connect", _take_role)
    return engine


def _take_role(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute(TAKE_ROLE)
    cursor.close()
    # A rollback would give the role back.
    connection.commit()


def sync_url(dsn: str) -> str:
    """The URL that names psycopg2."""
    return _with_driver(dsn, "psycopg2")


def plain_url(dsn: str) -> str:
    """The URL without a driver, as libpq reads it."""
    return f"postgresql://{dsn.split('://', 1)[1]}"
