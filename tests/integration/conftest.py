"""A runtime on the module's database, and ways to run a task in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.settings import Settings
from orchestration.run import Runtime
from orchestration.wiring import open_runtime
from tests.fakes.server import OUTBOUND_HOSTS


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Settings:
    """Settings of a stack of the test's own."""
    own = {"home": tmp_path / "state", "database_url": dsn, "outbound_hosts": OUTBOUND_HOSTS}
    return Settings(**own, worker_concurrency=4, lease_seconds=4)


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """A runtime on the shipped pilots."""
    async with open_runtime(settings) as made:
        yield made
