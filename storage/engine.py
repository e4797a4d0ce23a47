"""Engines. The run path is async on psycopg 3; evaluation and migrations are sync on psycopg2."""

import json
from functools import partial
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from domain.canonical import canonical_json
from storage.roles import TAKE_ROLE
from storage.sessions import IDLE_SECONDS, alive, limits


def _with_driver(dsn: str, driver: str) -> str:
    # `postgres://` and any driver that the user named are accepted; which driver is used is ours to say.
    return f"postgresql+{driver}://{dsn.split('://', 1)[1]}"


def async_engine(
    dsn: str, *, size: int = 16, idle_seconds: float = IDLE_SECONDS, lock_seconds: float = 0.0
) -> AsyncEngine:
    """An async engine for `postgresql://...`, with a checked pool of at most `size` connections.

    They write as the application's role (`storage.roles`). A transaction that is silent for `idle_seconds` is ended by
    Postgres, one that waits for a lock longer than `lock_seconds` fails (`storage.sessions.limits`).
    """
    engine = create_async_engine(
        _with_driver(dsn, "psycopg"),
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_recycle=300,
        json_serializer=canonical_json,
        json_deserializer=json.loads,
        connect_args=alive(dsn),
    )
    event.listen(engine.sync_engine, "connect", partial(_settle, limits(idle_seconds, lock_seconds)))
    return engine


def sync_engine(dsn: str, *, idle_seconds: float = IDLE_SECONDS, **options: Any) -> Engine:
    """A sync engine for `postgresql://...`, which writes as the application's role."""
    engine = create_engine(
        _with_driver(dsn, "psycopg2"), json_serializer=canonical_json, connect_args=alive(dsn), **options
    )
    event.listen(engine, "connect", partial(_settle, limits(idle_seconds)))
    return engine


def _settle(limits_of_session: str, connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute(limits_of_session)
    cursor.execute(TAKE_ROLE)
    cursor.close()
    # A rollback would give the role back.
    connection.commit()


def sync_url(dsn: str) -> str:
    """The URL that names psycopg2."""
    return _with_driver(dsn, "psycopg2")
