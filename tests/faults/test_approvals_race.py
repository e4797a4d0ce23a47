"""Many answers to one approval at once: exactly one of them stands."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from control_plane.services import inbox
from domain.errors import AnswerRefused
from domain.settings import Settings
from domain.task import Lane, TaskStatus
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from storage.leases import claim_one

ANSWERS = 50


@pytest.fixture
async def runtime(dsn: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings(home=tmp_path / "state", database_url=dsn, worker_concurrency=16, lease_seconds=4)
    async with open_runtime(settings) as made:
        yield made


async def _parked(runtime: Runtime) -> str:
    kind = runtime.catalog.task_type("credit_review")
    payload = {"Seniority": 15, "Home": "owner", "Time": 36, "Records": "no", "Job": "fixed", "Expenses": 60}
    payload |= {"Income": 400, "Assets": 6000, "Debt": 0, "Amount": 3000, "Price": 6000}
    task_id = (await submit_task(runtime.engine, kind, payload, principal="ann", lane=Lane.DIRECT)).task_id
    assert await _run(runtime, task_id) is TaskStatus.PARKED
    return task_id


async def _run(runtime: Runtime, task_id: str) -> TaskStatus:
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    return await run_task(runtime, claim.lease, DIRECT, runtime.graphs())


async def _answer(runtime: Runtime, task_id: str, number: int) -> str:
    who, why = f"person{number}", "seen"
    if number % 2:
        await inbox.refuse(runtime.engine, task_id, principal=who, reason=why, digest=None)
    else:
        await inbox.approve(runtime.engine, task_id, principal=who, reason=why, action=None, digest=None)
    return who


async def test_one_of_fifty_answers_wins(runtime: Runtime) -> None:
    task_id = await _parked(runtime)
    answers = (_answer(runtime, task_id, number) for number in range(ANSWERS))
    given = await asyncio.gather(*answers, return_exceptions=True)
    won = [one for one in given if isinstance(one, str)]
    lost = [one for one in given if isinstance(one, AnswerRefused)]
    assert (len(won), len(lost)) == (1, ANSWERS - 1)
    assert all("already answered: " in str(one) and won[0] in str(one) for one in lost)
    async with runtime.engine.connect() as connection:
        rows = (await connection.execute(text("SELECT status, answered_by FROM approvals"))).all()
        events = await connection.scalar(text("SELECT count(*) FROM events WHERE event = 'approve.answered'"))
    approved = int(won[0].removeprefix("person")) % 2 == 0
    assert [tuple(row) for row in rows] == [("approved" if approved else "refused", won[0])]
    assert events == 1
    assert await _run(runtime, task_id) is (TaskStatus.DONE if approved else TaskStatus.DENIED)


async def test_a_task_is_claimed_by_one_of_many(runtime: Runtime) -> None:
    task_id = await _parked(runtime)
    await _answer(runtime, task_id, 0)
    claims = await asyncio.gather(*(claim_one(runtime.engine, f"w{i}", task_id, seconds=30) for i in range(ANSWERS)))
    assert sum(claim is not None for claim in claims) == 1
