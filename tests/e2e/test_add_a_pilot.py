"""The how-to page "Add a pilot", followed to the letter: its own blocks become a catalog, and tasks run in it."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from catalog.cases import read_cases
from control_plane.services import inbox
from domain.errors import PayloadError
from domain.settings import Settings
from domain.task import Lane, TaskStatus
from guardrails.examples import check_examples, read_examples
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_cases, submit_task
from orchestration.wiring import open_runtime
from storage.leases import claim_one
from storage.repositories import listing

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "add_a_pilot.md"
NAME = "refund_review"
BLOCK = re.compile(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalog with the page's blocks, each in the file that the page names."""
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    for name, text in blocks:
        file = tmp_path / "catalog" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert len(blocks) == 8
    return tmp_path / "catalog"


@pytest.fixture
async def runtime(dsn: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    """A runtime on the page's catalog alone."""
    monkeypatch.setenv("PARLEY_CATALOG", str(folder))
    settings = Settings(home=tmp_path / "state", database_url=dsn, worker_concurrency=2)
    async with open_runtime(settings) as made:
        yield made


async def _run(runtime: Runtime, task_id: str) -> TaskStatus:
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    return await run_task(runtime, claim.lease, DIRECT, runtime.graphs())


async def _answer(runtime: Runtime, task_id: str) -> str | None:
    async with runtime.engine.connect() as connection:
        row = await listing.task(connection, task_id)
    assert row is not None
    return row["answer"]


async def test_the_page_makes_a_catalog_whose_policies_keep_to_their_examples(runtime: Runtime, folder: Path) -> None:
    assert runtime.catalog.names() == (NAME,)
    assert len(runtime.catalog.facts(NAME)) == 2
    examples = read_examples(folder / NAME / "policy_examples.yaml")
    assert check_examples(runtime.catalog.gate(NAME), examples) == []


async def test_the_order_runs_to_its_end(runtime: Runtime, folder: Path) -> None:
    payload = json.loads((folder / "order.json").read_text(encoding="utf-8"))
    kind = runtime.catalog.task_type(NAME)
    made = await submit_task(runtime.engine, kind, payload, principal="ann", lane=Lane.DIRECT)
    assert await _run(runtime, made.task_id) is TaskStatus.DONE
    assert await _answer(runtime, made.task_id) == "grant"
    with pytest.raises(PayloadError, match="colour"):
        await submit_task(runtime.engine, kind, {**payload, "colour": "red"}, principal="ann", lane=Lane.DIRECT)


async def test_the_cases_run_and_the_large_one_waits_for_a_person(runtime: Runtime, folder: Path) -> None:
    kind = runtime.catalog.task_type(NAME)
    cases = read_cases(kind, folder / "cases.csv")
    assert cases.bad == ()
    assert [case.outcome for case in cases.cases] == ["fair", "abused", "fair"]
    batch = await submit_cases(runtime.engine, kind, cases, source="cases.csv", principal="ann", lane=Lane.DIRECT)
    ended = [await _run(runtime, task_id) for task_id in batch.task_ids]
    assert ended == [TaskStatus.DONE, TaskStatus.DONE, TaskStatus.PARKED]
    large = batch.task_ids[2]
    await inbox.approve(runtime.engine, large, principal="bob", reason="photos seen", action=None, digest=None)
    assert await _run(runtime, large) is TaskStatus.DONE
    assert [await _answer(runtime, task_id) for task_id in batch.task_ids] == ["grant", "reject", "grant"]
