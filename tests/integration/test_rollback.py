"""A task of three steps whose third fails: what the others did is undone, the last first, each once."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from control_plane.services.control import control
from control_plane.services.outcomes import record_one
from control_plane.services.replay import replay_task
from domain import faults
from domain.action import ActionRequest, ExecutorKind
from domain.settings import Settings
from domain.task import TaskStatus
from storage.engine import async_engine
from storage.repositories.control import Control
from tasks import compensate
from tasks.executors.record_decision import RecordDecision
from tests.fakes.target import FakeTarget, fake_target
from tests.integration.acting import Acting, Crash, acting, crash_at, write_steps

UNDO_CRASHES = {
    "before the first": ("compensate:before", 1),
    "its call": ("execute:before_call", 4),
    "behind its call": ("execute:after_call", 3),
    "behind the second call": ("execute:after_call", 4),
    "before an end is committed": ("compensate:inside", 3),
    "at the end": ("compensate:after", 1),
}
"""The third step is refused, so its call has no `after_call`: the undoings are the third and fourth."""


def _steps(target: FakeTarget, **undo: Any) -> dict[str, dict[str, Any]]:
    acts = {"executor_parameters": target.parameters(), "retry": {"attempts": 2, "backoff": "fixed"}}
    undone = {**acts, "compensate": "cancel", **undo}
    return {"book": undone, "charge": undone, "ship": acts}


async def test_the_steps_before_a_failed_one_are_undone_in_reverse(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target:
        target.refused = frozenset({"ship"})
        async with acting(settings, write_steps(tmp_path, _steps(target))) as stage:
            task_id = await stage.submit()
            assert await stage.run_on(task_id) is TaskStatus.FAILED
            assert target.effects == [
                f"{task_id}/{step}" for step in ("book", "charge", "charge:compensate", "book:compensate")
            ]
            undoing = next(body for key, _, body in target.requests if key.endswith("charge:compensate"))
            assert undoing["action"] == "cancel"
            undoes = {"key": f"{task_id}/charge", "action": "covered", "arguments": {}}
            assert undoing["arguments"] == {"undoes": undoes}
            assert await stage.actions(task_id) == {
                "book": ("done", 1),
                "charge": ("done", 1),
                "ship": ("failed", 1),
                "charge:compensate": ("done", 1),
                "book:compensate": ("done", 1),
            }
            assert await stage.events(task_id, "compensate.%") == [
                "compensate.began",
                "compensate.undone",
                "compensate.undone",
                "compensate.done",
            ]


async def _said(stage: Acting, task_id: str) -> tuple[Any, ...]:
    """The task's answer, its summary's, what was undone, and its episode."""
    sql = (
        "SELECT t.answer, t.summary -> 'answer', t.summary -> 'undone', m.data FROM tasks t "
        "JOIN memories m ON m.task_id = t.id WHERE t.id = :id"
    )
    [row] = await stage.rows(sql, task_id)
    return row


async def _record(stage: Acting, task_id: str) -> None:
    types = {"claim": stage.runtime.catalog.task_type("claim")}
    await record_one(stage.runtime.engine, types, task_id, "good", principal="eve")


@pytest.mark.parametrize("label", [None, "early", "late"])
async def test_what_was_undone_is_no_answer_and_no_action_taken(
    settings: Settings, tmp_path: Path, label: str | None
) -> None:
    with fake_target() as target:
        target.refused = frozenset({"ship"})
        catalog = write_steps(tmp_path, _steps(target), outcome_map={"good": "covered", "bad": "uncovered"})
        async with acting(settings, catalog) as stage:
            task_id = await stage.submit()
            if label == "early":
                await _record(stage, task_id)
            assert await stage.run_on(task_id) is TaskStatus.FAILED
            if label == "late":
                await _record(stage, task_id)
            known = {"outcome": "good", "right": None} if label else {}
            episode = {"action": None, "undone": "covered", **known}
            assert await _said(stage, task_id) == (None, None, ["book", "charge"], episode)
            reasons = await stage.rows("SELECT reason FROM subtasks WHERE task_id = :id AND status = 'done'", task_id)
            assert reasons == [("undone",), ("undone",)]
            replayed = await replay_task(stage.runtime.engine, stage.runtime.catalog, task_id)
            assert replayed["differs"] == [], replayed["stages"]
            assert replayed["stages"][-1]["outcome"] == "equal"


@pytest.mark.parametrize("by_hand", ["done", "not_done"])
async def test_what_was_undone_by_hand_is_no_answer_either(settings: Settings, tmp_path: Path, by_hand: str) -> None:
    with fake_target() as target:
        target.refused = frozenset({"ship", "charge:compensate", "book:compensate"})
        async with acting(settings, write_steps(tmp_path, _steps(target))) as stage:
            task_id = await stage.submit()
            for _ in range(2):
                assert await stage.run_on(task_id) is TaskStatus.PARKED
                await stage.answer(task_id, by_hand)
            assert await stage.run_on(task_id) is TaskStatus.FAILED
            undone = (None, None, ["book", "charge"], {"action": None, "undone": "covered"})
            stands = ("covered", "covered", None, {"action": "covered"})
            assert await _said(stage, task_id) == (undone if by_hand == "done" else stands)


@pytest.mark.parametrize("place", UNDO_CRASHES)
async def test_undoing_goes_on_once_wherever_it_dies(settings: Settings, tmp_path: Path, place: str) -> None:
    """The crash is an exception at the kill point; the fault matrix does the same with SIGKILL."""
    with fake_target() as target:
        target.refused = frozenset({"ship"})
        async with acting(settings, write_steps(tmp_path, _steps(target))) as stage:
            task_id = await stage.submit()
            with crash_at(*UNDO_CRASHES[place]), pytest.raises(Crash):
                await stage.run(task_id)
            assert await stage.run_on(task_id) is TaskStatus.FAILED
            assert [target.of(step) for step in ("book", "charge", "ship")] == [1, 1, 0]
            undone = [key.rsplit("/")[-1] for key in target.effects if key.endswith(":compensate")]
            assert undone == ["charge:compensate", "book:compensate"]


async def test_what_cannot_be_undone_goes_to_a_person_and_holds_up_the_rest(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target:
        target.refused = frozenset({"ship", "charge:compensate"})
        async with acting(settings, write_steps(tmp_path, _steps(target))) as stage:
            task_id = await stage.submit()
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            assert target.of("book:compensate") == 0
            assert (await stage.actions(task_id))["charge:compensate"][0] == "failed"
            await stage.answer(task_id, "done")
            assert await stage.run_on(task_id) is TaskStatus.FAILED
            assert (target.of("charge:compensate"), target.of("book:compensate")) == (0, 1)
            events = await stage.events(task_id, "compensate.%")
            assert events == ["compensate.began", "compensate.failed", "compensate.undone", "compensate.done"]


async def test_a_blind_undoing_in_doubt_goes_to_a_person(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target, fake_target(ExecutorKind.BLIND) as blind:
        target.refused = frozenset({"ship"})
        undo = {"executor": "webhook", "parameters": blind.parameters()}
        steps = _steps(target)
        steps["charge"] = {**steps["charge"], "compensate": undo}
        async with acting(settings, write_steps(tmp_path, steps)) as stage:
            task_id = await stage.submit()
            blind.lose = 1
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            assert (await stage.actions(task_id))["charge:compensate"][0] == "unknown"
            assert await stage.events(task_id, "settle.%") == ["settle.asked"]
            await stage.answer(task_id, "done")
            assert await stage.run_on(task_id) is TaskStatus.FAILED
            assert blind.effects == [f"{task_id}/charge:compensate"]
            assert target.of("book:compensate") == 1


@pytest.mark.parametrize("answer", ["done", "not_done"])
async def test_a_cancel_waits_for_what_may_have_happened(settings: Settings, tmp_path: Path, answer: str) -> None:
    with fake_target() as target, fake_target(ExecutorKind.BLIND) as blind:
        steps = _steps(target)
        steps["charge"] = {**steps["charge"], "executor_parameters": blind.parameters(), "compensate": "cancel"}
        async with acting(settings, write_steps(tmp_path, steps)) as stage:
            task_id = await stage.submit()
            blind.lose = 1
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            await stage.execute("UPDATE tasks SET cancel_requested = true, due = true WHERE id = :id", task_id)
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            # It is not due again before the answer, though it was cancelled.
            assert await stage.rows("SELECT due FROM tasks WHERE id = :id", task_id) == [(False,)]
            assert target.effects == [f"{task_id}/book"]
            await stage.answer(task_id, answer)
            assert await stage.run_on(task_id) is TaskStatus.CANCELLED
            assert blind.of("charge:compensate") == (answer == "done")
            assert target.effects == [f"{task_id}/book", f"{task_id}/book:compensate"]


async def test_a_deadline_undoes_what_was_done(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target:
        async with acting(settings, write_steps(tmp_path, _steps(target))) as stage:
            task_id = await stage.submit()
            with crash_at("execute:after_call", 2), pytest.raises(Crash):
                await stage.run(task_id)
            await stage.execute("UPDATE tasks SET parked_seconds = -1e7 WHERE id = :id", task_id)
            # The second step was interrupted in its call: nobody but a person knows whether it happened.
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            await stage.answer(task_id, "done")
            assert await stage.run_on(task_id) is TaskStatus.EXPIRED
            assert [target.of(f"{step}:compensate") for step in ("book", "charge")] == [1, 1]
            assert target.of("ship") == 0


def _ask_at(dsn: str, time: int, task_id: str, asked: Control) -> None:
    """Ask it from another thread as the given call begins."""
    calls = 0

    async def ask() -> None:
        engine = async_engine(dsn, size=1)
        await control(engine, task_id, asked, principal="bob", reason="test")
        await engine.dispose()

    def watch(point: str) -> None:
        nonlocal calls
        calls += point == "execute:before_call"
        if point == "execute:before_call" and calls == time:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, ask()).result()

    faults.watch(watch)


@pytest.fixture
def watching() -> Iterator[None]:
    yield
    faults.watch(None)


@pytest.mark.usefixtures("watching")
@pytest.mark.parametrize("then", [Control.RESUME, Control.CANCEL])
async def test_a_pause_is_kept_between_two_undoings(
    settings: Settings, tmp_path: Path, dsn: str, then: Control
) -> None:
    with fake_target() as target:
        target.refused = frozenset({"ship"})
        steps = _steps(target, deadline="PT1.5S", breaker={"failures": 1, "wait": "PT0.3S"})
        async with acting(settings, write_steps(tmp_path, steps)) as stage:
            task_id = await stage.submit()
            # book, charge, ship, and now the first undoing is in flight.
            _ask_at(dsn, 4, task_id, Control.PAUSE)
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            assert [target.of(f"{step}:compensate") for step in ("charge", "book")] == [1, 0]
            assert await stage.events(task_id, "run.paused") == ["run.paused"]
            assert await stage.rows("SELECT due, status FROM tasks WHERE id = :id", task_id) == [(False, "parked")]
            # Its time does not count: what is left has a whole deadline still, though its target has to be waited for.
            await asyncio.sleep(2)
            target.codes = [503]
            await control(stage.runtime.engine, task_id, then, principal="bob", reason="test")
            # What was begun goes on to its end: a cancel changes only that nothing waits any more.
            assert await stage.run_on(task_id) is TaskStatus.FAILED
            assert [target.of(f"{step}:compensate") for step in ("charge", "book")] == [1, 1]


# An error where somebody holds the row.
_HELD_BY_NOBODY = text("SELECT FROM tasks WHERE id = :id FOR UPDATE NOWAIT")


class Slow(RecordDecision):
    """It dies in its call, and does not answer what became of it."""

    locked = True

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        raise Crash

    async def find(self, request: ActionRequest) -> dict[str, Any] | None:
        async with self._engine.connect() as connection:
            # Raises where somebody holds the row.
            await connection.execute(
                text("SELECT FROM tasks WHERE id = :id FOR UPDATE NOWAIT"), {"id": request.task_id}
            )
        Slow.locked = False
        await asyncio.sleep(600)
        raise AssertionError


async def test_a_target_that_does_not_say_what_happened_holds_nothing_up(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compensate, "_ASK_SECONDS", 0.2)
    async with acting(settings, write_steps(tmp_path, {"book": {"executor": "record_decision"}})) as stage:
        stage.runtime = replace(stage.runtime, executors=lambda engine: {"record_decision": Slow(engine)})
        task_id = await stage.submit()
        with pytest.raises(Crash):
            await stage.run(task_id)
        await control(stage.runtime.engine, task_id, Control.CANCEL, principal="bob", reason="test")
        assert await stage.run(task_id) is TaskStatus.PARKED
        assert not Slow.locked
        assert await stage.actions(task_id) == {"book": ("unknown", 1)}
        await stage.answer(task_id, "not_done")
        assert await stage.run_on(task_id) is TaskStatus.CANCELLED
