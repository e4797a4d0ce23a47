"""Shared parts of the tests: a real Postgres for the session, a database of its own for each module."""

import os

os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("LANGSMITH_TRACING", "false")

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from deployments.postgres import PostgresServer, start_postgres
from deployments.prefect_server import plan_url, start_server, wait_healthy
from deployments.processes import stop
from deployments.state import StackState
from storage.engine import async_engine
from storage.migrations.run import upgrade

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The session's own server."""
    server = start_postgres(tmp_path_factory.mktemp("postgres"), None)
    yield server
    server.discard()


@pytest.fixture(scope="module")
def dsn(postgres: PostgresServer) -> str:
    """A migrated database of this module's own."""
    return fresh_database(postgres)


def fresh_database(postgres: PostgresServer) -> str:
    """A migrated database of one's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    fresh = postgres.dsn.rsplit("/", 1)[0] + f"/{name}"
    upgrade(fresh)
    return fresh


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    """An async engine on the module's database."""
    made = async_engine(dsn, size=4)
    yield made
    await made.dispose()


@pytest.fixture(scope="session")
def prefect_api(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Prefect server, on its own database of the session's Postgres."""
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_LOCAL_STORAGE_PATH, temporary_settings

    home = tmp_path_factory.mktemp("prefect")
    state = StackState(
        home=home, dsn=postgres.dsn, prefect_api_url=plan_url(), prefect_dsn=postgres.cluster.dsn("prefect")
    )
    server = start_server(state, os.environ)
    try:
        wait_healthy(state.prefect_api_url, server, lambda line: None)
        settings = {PREFECT_API_URL: state.prefect_api_url, PREFECT_HOME: home, PREFECT_LOCAL_STORAGE_PATH: home / "s"}
        with temporary_settings(settings):
            yield state.prefect_api_url
            # What is left to be told when the server is gone is tried for more than a minute as the process ends.
            APILogWorker.drain_all(timeout=10)
    finally:
        stop(server)
