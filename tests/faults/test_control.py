"""Cancel, pause and resume wherever a task stands: nothing is called after a cancel, and nothing is lost by a pause."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from control_plane.services import control as service
from control_plane.services import inbox
from control_plane.services.control import control
from domain import faults
from domain.errors import AnswerRefused, ControlRefused, NotFound, RowHeld
from domain.settings import Settings
from domain.task import TaskStatus
from orchestration.run import Runtime
from orchestration.wiring import open_runtime
from storage.engine import async_engine
from storage.repositories.control import Control
from tests.faults.control_tasks import ALONE, PERSON, run, submit
from tests.faults.invariants import broken

# Reached by a task that ends alone, with no transaction open.
STEPS = [
    f"{node}:{place}"
    for node in ("intake", "plan", "dispatch", "negotiate", "guard", "execute")
    for place in ("before", "after")
    if (node, place) != ("dispatch", "after")
]


@pytest.fixture
async def runtime(dsn: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings(home=tmp_path / "state", database_url=dsn, worker_concurrency=4, lease_seconds=4)
    async with open_runtime(settings) as made:
        yield made


@pytest.fixture
def watching() -> Iterator[None]:
    yield
    faults.watch(None)


async def _ask(runtime: Runtime, task_id: str, asked: Control) -> bool:
    return (await control(runtime.engine, task_id, asked, principal="bob", reason="test")).changed


def _ask_from_elsewhere(dsn: str, task_id: str, asked: Control) -> None:
    async def ask() -> None:
        engine = async_engine(dsn, size=1)
        await control(engine, task_id, asked, principal="bob", reason="test")
        await engine.dispose()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, ask()).result()


def _ask_at(dsn: str, point: str, holder: list[str], asked: Control) -> list[str]:
    """Ask it at the point; returns the points that are reached from then on."""
    after: list[str] = []
    done = False

    def watch(reached: str) -> None:
        nonlocal done
        if done:
            after.append(reached)
        elif reached == point:
            done = True
            _ask_from_elsewhere(dsn, holder[0], asked)

    faults.watch(watch)
    return after


async def _row(runtime: Runtime, sql: str, task_id: str) -> Any:
    async with runtime.engine.connect() as connection:
        return (await connection.execute(text(sql), {"id": task_id})).one()


async def _effects(runtime: Runtime, task_id: str) -> int:
    return int((await _row(runtime, "SELECT count(*) FROM records WHERE task_id = :id", task_id))[0])


@pytest.mark.usefixtures("watching")
@pytest.mark.parametrize("point", STEPS)
async def test_nothing_is_called_after_a_cancel(runtime: Runtime, dsn: str, point: str) -> None:
    task_id = await submit(runtime, ALONE)
    after = _ask_at(dsn, point, [task_id], Control.CANCEL)
    status = await run(runtime, task_id)
    assert status is TaskStatus.CANCELLED
    assert "execute:before_call" not in after
    # What was done stays done.
    assert await _effects(runtime, task_id) == int(point == "execute:after")


@pytest.mark.usefixtures("watching")
@pytest.mark.parametrize("point", STEPS)
async def test_a_paused_run_parks_before_its_next_node_and_goes_on(runtime: Runtime, dsn: str, point: str) -> None:
    task_id = await submit(runtime, ALONE)
    after = _ask_at(dsn, point, [task_id], Control.PAUSE)
    status = await run(runtime, task_id)
    if status is TaskStatus.PARKED:
        node, place = point.split(":")
        begun = {reached.split(":")[0] for reached in after if reached.endswith(":inside")} - {"park"}
        assert begun <= ({node} if place == "before" else set()), "another node wrote"
        assert await run(runtime, task_id) is None, "a paused task is not due"
        events = "SELECT array_agg(event ORDER BY seq) FROM events WHERE task_id = :id AND event IN "
        assert (await _row(runtime, events + "('control.pause', 'run.paused')", task_id))[0] == [
            "control.pause", "run.paused"
        ]  # fmt: skip
        faults.watch(None)
        assert await _ask(runtime, task_id, Control.RESUME)
        status = await run(runtime, task_id)
    else:
        assert point == "execute:after", "only what has ended its last step goes on to its end"
    assert status is TaskStatus.DONE
    assert await _effects(runtime, task_id) == 1


async def test_a_parked_task_ends_as_cancelled_at_once(runtime: Runtime) -> None:
    task_id = await submit(runtime, PERSON)
    assert await run(runtime, task_id) is TaskStatus.PARKED
    assert await run(runtime, task_id) is None
    assert await _ask(runtime, task_id, Control.CANCEL)
    assert not await _ask(runtime, task_id, Control.CANCEL), "asked for before"
    with pytest.raises(AnswerRefused, match="was cancelled"):
        await inbox.approve(runtime.engine, task_id, principal="eve", reason="seen", action=None, digest=None)
    with pytest.raises(ControlRefused, match="cannot be resumed"):
        await _ask(runtime, task_id, Control.RESUME)
    assert await run(runtime, task_id) is TaskStatus.CANCELLED
    assert await _effects(runtime, task_id) == 0
    with pytest.raises(ControlRefused, match="already ended: cancelled"):
        await _ask(runtime, task_id, Control.CANCEL)
    assert (await _row(runtime, "SELECT count(*) FROM approvals WHERE status = 'open' AND task_id = :id", task_id))[
        0
    ] == 0


async def test_a_task_paused_before_it_began_is_parked_and_its_time_does_not_count(runtime: Runtime) -> None:
    task_id = await submit(runtime, ALONE)
    with pytest.raises(ControlRefused, match="is not paused"):
        await _ask(runtime, task_id, Control.RESUME)
    assert await _ask(runtime, task_id, Control.PAUSE)
    assert tuple(await _row(runtime, "SELECT status, due FROM tasks WHERE id = :id", task_id)) == ("parked", False)
    await _shift(runtime, task_id, "parked_at", "created_at", "deadline_at", by="-1 hour")
    assert await _ask(runtime, task_id, Control.RESUME)
    assert await run(runtime, task_id) is TaskStatus.DONE
    # The audit would find it.
    await _shift(runtime, task_id, "created_at", "deadline_at", by="1 hour")
    assert (await _row(runtime, "SELECT parked_seconds FROM tasks WHERE id = :id", task_id))[0] >= 3600


async def _shift(runtime: Runtime, task_id: str, *columns: str, by: str) -> None:
    moved = ", ".join(f"{name} = {name} + interval '{by}'" for name in columns)
    async with runtime.engine.begin() as connection:
        await connection.execute(text(f"UPDATE tasks SET {moved} WHERE id = :id"), {"id": task_id})


async def test_an_answer_to_a_paused_task_waits_for_its_end(runtime: Runtime) -> None:
    task_id = await submit(runtime, PERSON)
    await run(runtime, task_id)
    await _ask(runtime, task_id, Control.PAUSE)
    await inbox.approve(runtime.engine, task_id, principal="eve", reason="seen", action=None, digest=None)
    assert await run(runtime, task_id) is None
    await _ask(runtime, task_id, Control.RESUME)
    assert await run(runtime, task_id) is TaskStatus.DONE
    assert await _effects(runtime, task_id) == 1


async def test_there_must_be_such_a_task(runtime: Runtime) -> None:
    with pytest.raises(NotFound):
        await _ask(runtime, "none", Control.CANCEL)


async def test_a_row_that_is_locked_holds_a_cancel_up_only_so_long(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LOCK_SECONDS", 0.3)
    task_id = await submit(runtime, ALONE)
    async with runtime.engine.connect() as other:
        await other.execute(text("SELECT FROM tasks WHERE id = :id FOR UPDATE"), {"id": task_id})
        pid = await other.scalar(text("SELECT pg_backend_pid()"))
        with pytest.raises(RowHeld, match=rf"locked by Postgres process {pid} \(idle in transaction for 0 s\)"):
            await _ask(runtime, task_id, Control.CANCEL)
    assert await _ask(runtime, task_id, Control.CANCEL)
    assert await run(runtime, task_id) is TaskStatus.CANCELLED


RACES = 24


async def test_cancel_resume_and_approve_at_once(runtime: Runtime, dsn: str) -> None:
    ends = [await _race(runtime, dsn, number) for number in range(RACES)]
    assert "cancelled" in ends
    assert broken(dsn) == {}


async def _race(runtime: Runtime, dsn: str, number: int) -> str:
    task_id = await submit(runtime, PERSON)
    await run(runtime, task_id)
    await _ask(runtime, task_id, Control.PAUSE)

    async def later(turn: int, work: Any) -> object:
        await asyncio.sleep(0.004 * ((number * 7 + turn * 5) % 6))
        return await work

    async def move_on() -> None:
        for _ in range(12):
            await run(runtime, task_id)
            await asyncio.sleep(0.005)

    answer = inbox.approve(runtime.engine, task_id, principal="eve", reason="seen", action=None, digest=None)
    cancel, resume = _ask(runtime, task_id, Control.CANCEL), _ask(runtime, task_id, Control.RESUME)
    moves = [later(0, cancel), later(1, resume), later(2, answer), move_on(), move_on()]
    told = await asyncio.gather(*moves, return_exceptions=True)
    assert [
        one for one in told if isinstance(one, Exception) and not isinstance(one, ControlRefused | AnswerRefused)
    ] == []
    await run(runtime, task_id)
    with psycopg.connect(dsn) as connection:
        status = connection.execute("SELECT status FROM tasks WHERE id = %s", (task_id,)).fetchone()
        rows = connection.execute("SELECT event FROM events WHERE task_id = %s ORDER BY seq", (task_id,)).fetchall()
    assert status is not None
    _assert_one_order(str(status[0]), [row[0] for row in rows], told, await _effects(runtime, task_id))
    return str(status[0])


def _assert_one_order(status: str, order: list[str], told: list[Any], effects: int) -> None:
    cancelled, _, answered = told[:3]
    assert ("control.cancel" in order) == (cancelled is True)
    assert ("approve.answered" in order) == (not isinstance(answered, Exception))
    assert status in ("cancelled", "done")
    assert effects == (1 if "execute.done" in order else 0)
    if cancelled is True:
        behind = order[order.index("control.cancel") + 1 :]
        assert "approve.answered" not in behind
        assert "control.resume" not in behind
        # What a person's answer started before the cancel may end behind it; nothing else does.
        assert {"approve.asked", "approve.approved", "run.paused"}.isdisjoint(behind)
    else:
        assert status == "done"
