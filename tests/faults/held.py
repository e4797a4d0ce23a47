"""A plugin of pytest: after each test that has a database, the invariants hold there, or the test is in error."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.invariants import hold


@pytest.fixture(autouse=True)
def invariants_hold(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Checked last; `UNHELD` of a module names the tests that break them on purpose."""
    if "dsn" not in request.fixturenames or "server" in request.fixturenames:
        yield
        return
    dsn = request.getfixturevalue("dsn")
    yield
    if request.node.originalname not in getattr(request.module, "UNHELD", ()):
        asyncio.run(hold(dsn, tmp_path / "anchors"))
