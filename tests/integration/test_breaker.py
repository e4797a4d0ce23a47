"""A target that keeps failing is left alone: the fallback acts and is recorded as such, or the subtask waits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from control_plane.services import listing
from domain.action import ExecutorKind
from domain.settings import Settings
from domain.task import TaskStatus
from tests.fakes.target import FakeTarget, fake_target
from tests.integration.acting import Acting, Crash, acting, crash_at, write_steps


def _pay(target: FakeTarget, **more: Any) -> dict[str, dict[str, Any]]:
    return {
        "pay": {
            "executor_parameters": target.parameters(nothing_done=[503]),
            "retry": {"attempts": 5, "backoff": "fixed"},
            "breaker": {"failures": 2, "wait": "PT1S"},
            **more,
        }
    }


@asynccontextmanager
async def _stage(settings: Settings, root: Path, steps: dict[str, dict[str, Any]]) -> AsyncIterator[Acting]:
    async with acting(settings, write_steps(root, steps)) as stage:
        yield stage


async def _breaker(stage: Acting, target: FakeTarget) -> tuple[Any, ...]:
    name = f"webhook {target.url.removeprefix('http://')}"
    [row] = await stage.rows("SELECT failures, opened_at IS NOT NULL FROM breakers WHERE executor = :id", name)
    return row


async def test_it_opens_waits_and_closes_behind_one_probe(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target:
        target.codes = [500, 500]
        async with _stage(settings, tmp_path, _pay(target)) as stage:
            task_id = await stage.submit()
            assert await stage.run(task_id) is TaskStatus.RUNNING
            assert await _breaker(stage, target) == (2, True)
            [(held, later)] = await stage.rows(
                "SELECT lease_owner IS NULL, lease_until > now() FROM tasks WHERE id = :id", task_id
            )
            assert (held, later) == (True, True)
            assert await stage.run(task_id) is TaskStatus.RUNNING
            assert len(target.requests) == 2, "an open breaker lets nothing through"
            assert await stage.run_on(task_id) is TaskStatus.DONE
            assert (len(target.requests), len(target.effects)) == (3, 1)
            assert await _breaker(stage, target) == (0, False)
            assert await stage.events(task_id, "breaker.%") == ["breaker.opened", "breaker.half_open", "breaker.closed"]
            assert "execute.waits" in await stage.events(task_id, "execute.%")


async def test_a_probe_that_fails_opens_it_again(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target:
        target.codes = [500, 500, 503]
        async with _stage(settings, tmp_path, _pay(target)) as stage:
            task_id = await stage.submit()
            assert await stage.run_on(task_id) is TaskStatus.DONE
            assert (len(target.requests), len(target.effects)) == (4, 1)
            events = await stage.events(task_id, "breaker.%")
            assert events == ["breaker.opened", "breaker.half_open"] * 2 + ["breaker.closed"]


async def test_it_stands_for_every_task_and_one_of_them_probes(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target:
        target.codes = [500, 500]
        async with _stage(settings, tmp_path, _pay(target, breaker={"failures": 2, "wait": "PT30S"})) as stage:
            first, second = await stage.submit(), await stage.submit()
            assert await stage.run(first) is TaskStatus.RUNNING
            assert await stage.run(second) is TaskStatus.RUNNING
            assert len(target.requests) == 2
            name = f"webhook {target.url.removeprefix('http://')}"
            await stage.execute("UPDATE breakers SET opened_at = now() - interval '31 s' WHERE executor = :id", name)
            with crash_at("execute:before_call"), pytest.raises(Crash):
                await stage.run(first)
            # The first one holds the probe, wherever it is now.
            assert await stage.run(second) is TaskStatus.RUNNING
            assert len(target.requests) == 2


async def test_the_fallback_acts_and_is_recorded_as_such(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target, fake_target() as other:
        target.codes = [503, 503]
        fallback = {"executor": "webhook", "parameters": other.parameters()}
        async with _stage(settings, tmp_path, _pay(target, fallback=fallback)) as stage:
            task_id = await stage.submit()
            assert await stage.run(task_id) is TaskStatus.DONE
            assert (target.effects, other.effects) == ([], [f"{task_id}/pay"])
            found = await stage.rows("SELECT executor, status, attempts FROM actions WHERE task_id = :id", task_id)
            assert found == [("fallback:webhook", "done", 3)]
            sql = "SELECT data FROM events WHERE task_id = :id AND event = 'execute.fallback'"
            [(data,)] = await stage.rows(sql, task_id)
            assert (data["instead_of"], "answered 503" in data["because"]) == ("webhook", True)
            [(summary,)] = await stage.rows("SELECT summary->'actions' FROM tasks WHERE id = :id", task_id)
            [action] = summary
            assert (action["step"], action["executor"], action["status"]) == ("pay", "fallback:webhook", "done")
            [explained] = await listing.explain_task(stage.runtime.engine, task_id)
            assert [acted["executor"] for acted in explained["acted"]] == ["fallback:webhook"]


@pytest.mark.parametrize("way", ["lose", "late"])
async def test_a_send_in_doubt_is_never_given_to_the_fallback(settings: Settings, tmp_path: Path, way: str) -> None:
    with fake_target() as target, fake_target() as other:
        target.lose, target.late = (2, []) if way == "lose" else (0, [504, 504])
        fallback = {"executor": "webhook", "parameters": other.parameters()}
        async with _stage(settings, tmp_path, _pay(target, fallback=fallback)) as stage:
            task_id = await stage.submit()
            assert await stage.run_on(task_id) is TaskStatus.DONE
            assert (target.effects, other.effects) == ([f"{task_id}/pay"], [])


async def test_a_failure_behind_the_effect_is_not_taken_for_none(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target:
        target.late = [504] * 5
        async with _stage(settings, tmp_path, _pay(target, breaker={"failures": 9, "wait": "PT1S"})) as stage:
            task_id = await stage.submit()
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            assert (await stage.actions(task_id))["pay"] == ("unknown", 5)
            assert target.effects == [f"{task_id}/pay"]


@pytest.mark.parametrize("kind", [ExecutorKind.DEDUP, ExecutorKind.FENCED])
async def test_a_refusal_behind_a_doubtful_send_tells_nothing_of_it(
    settings: Settings, tmp_path: Path, kind: ExecutorKind
) -> None:
    with fake_target(kind) as target:
        target.lose, target.codes = 1, [0, 403]
        async with _stage(settings, tmp_path, _pay(target)) as stage:
            task_id = await stage.submit()
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            assert (await stage.actions(task_id))["pay"] == ("unknown", 2)
            assert (len(target.requests), len(target.effects)) == (2, 1)


async def test_a_probe_that_is_refused_tells_that_the_target_works(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target:
        target.codes = [503, 503, 400]
        async with _stage(settings, tmp_path, _pay(target)) as stage:
            task_id = await stage.submit()
            assert await stage.run_on(task_id) is TaskStatus.FAILED
            assert len(target.requests) == 3
            assert await _breaker(stage, target) == (0, False)


async def test_what_a_target_could_do_at_the_time_of_a_send_counts(settings: Settings, tmp_path: Path) -> None:
    with fake_target(ExecutorKind.BLIND) as target:
        async with _stage(settings, tmp_path, _pay(target)) as stage:
            task_id = await stage.submit()
            with crash_at("execute:after_call"), pytest.raises(Crash):
                await stage.run(task_id)
        target.kind = ExecutorKind.DEDUP
        async with _stage(settings, tmp_path / "changed", _pay(target)) as stage:
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            assert (await stage.actions(task_id))["pay"] == ("unknown", 1)
            assert len(target.requests) == 1


@pytest.mark.parametrize(("kind", "expected"), [(ExecutorKind.DEDUP, "failed"), (ExecutorKind.BLIND, "unknown")])
async def test_waiting_ends_with_the_deadline(
    settings: Settings, tmp_path: Path, kind: ExecutorKind, expected: str
) -> None:
    with fake_target(kind) as target:
        target.codes = [500] if kind is ExecutorKind.BLIND else [503, 503]
        more = {"deadline": "PT5S", "breaker": {"failures": 2, "wait": "PT10M"}}
        async with _stage(settings, tmp_path, _pay(target, **more)) as stage:
            task_id = await stage.submit()
            blind = kind is ExecutorKind.BLIND
            assert await stage.run_on(task_id) is (TaskStatus.PARKED if blind else TaskStatus.FAILED)
            [(status, error)] = await stage.rows("SELECT status, error FROM actions WHERE task_id = :id", task_id)
            assert status == expected
            if not blind:
                assert "deadline" in error
                assert "is open" in error
                assert "answered 503" in error
