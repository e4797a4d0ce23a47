"""A plugin of pytest: after each test that has a database, the invariants hold there, or the test is in error."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.invariants import hold

ALL = "all"
ON_PURPOSE = {
    "test_audit_chain": ALL,
    "test_deadlines": ALL,
    "test_retried": ALL,
    "test_erase_others": ALL,
    "test_cli_inbox": ALL,
    "test_fenced_checkpoints": ("test_an_ended_task_keeps_no_more",),
    "test_ended_task": ("test_the_ledger_and_the_record_refuse_an_ended_task",),
    "test_failed_runs": ("test_nothing_is_asked_of_a_task_that_was_put_away",),
    "test_answer_bound": ALL,
    "test_escalation": ALL,
    "test_notices": ("test_opening_going_on_and_expiring_are_told",),
    "test_quorum": ("test_the_chain_speaks_for_each_answer",),
    "test_exactly_once": ("test_the_question_takes_only_its_own_answers",),
}
"""Modules of other folders that change rows by hand, or make them so: what they leave is not to be held to anything."""


@pytest.fixture(autouse=True)
def invariants_hold(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Checked last; `UNHELD` of a module names the tests that break them on purpose."""
    if "dsn" not in request.fixturenames or "server" in request.fixturenames:
        yield
        return
    dsn = request.getfixturevalue("dsn")
    yield
    exempt = getattr(request.module, "UNHELD", ON_PURPOSE.get(request.path.stem, ()))
    if exempt != ALL and request.node.originalname not in exempt:
        asyncio.run(hold(dsn, tmp_path / "anchors"))
