"""Before a call is tried again what forbids it is looked at anew, as before the first."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from control_plane.services.control import control
from domain.action import ActionRequest, ExecutorKind
from domain.settings import Settings
from domain.task import TaskStatus
from storage.repositories.control import Control
from tasks.executors.webhook import Webhook
from tests.fakes.target import FakeTarget, fake_target
from tests.integration.acting import Acting, Crash, acting, crash_at, write_steps

OVERDUE = "UPDATE tasks SET deadline_at = now() - interval '1 s' WHERE id = :id"
# As another of its subtasks would have left it.
HALT = (
    "INSERT INTO verdicts (task_id, key, subtask_id, hop, effect, policy_ids, policy_hash, body, at) "
    "SELECT task_id, 'guard:other', 'other', 'proposal', 'halt', policy_ids, policy_hash, body, at FROM verdicts "
    "WHERE task_id = :id AND hop = 'arguments'"
)


async def _deadline(stage: Acting, task_id: str) -> None:
    await stage.execute(OVERDUE, task_id)


async def _halt(stage: Acting, task_id: str) -> None:
    await stage.execute(HALT, task_id)


async def _cancel(stage: Acting, task_id: str) -> None:
    await control(stage.runtime.engine, task_id, Control.CANCEL, principal="bob", reason="test")


async def _policies(stage: Acting, task_id: str) -> None:
    stage.runtime.catalog.gate("claim").policy_hash = "of other policies"


Change = Callable[[Acting, str], Awaitable[None]]


async def _until(stage: Acting, sql: str, task_id: str) -> None:
    async with asyncio.timeout(10):
        while await stage.rows(sql, task_id) != [(1,)]:
            await asyncio.sleep(0.02)


def _steps(target: FakeTarget) -> dict[str, dict[str, object]]:
    return {"pay": {"executor_parameters": target.parameters(), "retry": {"attempts": 3, "backoff": "fixed"}}}


@pytest.mark.parametrize(
    ("change", "ends"),
    [
        (_deadline, TaskStatus.EXPIRED),
        (_halt, TaskStatus.DENIED),
        (_cancel, TaskStatus.CANCELLED),
        (_policies, TaskStatus.FAILED),
    ],
)
async def test_what_is_known_not_to_be_sent_is_not_tried_again(
    settings: Settings, tmp_path: Path, change: Change, ends: TaskStatus
) -> None:
    with fake_target() as target:
        target.codes = [429]
        async with acting(settings, write_steps(tmp_path, _steps(target))) as stage:
            task_id = await stage.submit()
            running = asyncio.create_task(stage.run_on(task_id))
            unsent = "SELECT count(*) FROM actions WHERE task_id = :id AND status = 'intent'"
            await _until(stage, unsent, task_id)
            await change(stage, task_id)
            assert await running is ends
            assert (len(target.requests), target.effects) == (1, [])
            assert await stage.actions(task_id) == {"pay": ("failed", 1)}


async def test_a_deadline_that_passes_while_its_target_is_asked(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_target(ExecutorKind.QUERY) as target:
        async with acting(settings, write_steps(tmp_path, _steps(target))) as stage:
            task_id = await stage.submit()
            with crash_at("execute:before_call"), pytest.raises(Crash):
                await stage.run(task_id)
            ask = Webhook.find

            async def slowly(self: Webhook, request: ActionRequest) -> dict[str, Any] | None:
                told = await ask(self, request)
                await stage.execute(OVERDUE, task_id)
                return told

            monkeypatch.setattr(Webhook, "find", slowly)
            await stage.execute("UPDATE actions SET sent_at = sent_at - interval '9 s' WHERE task_id = :id", task_id)
            assert await stage.run_on(task_id) is TaskStatus.EXPIRED
            assert (len(target.questions), target.requests) == (1, [])
            assert (await stage.actions(task_id))["pay"][0] == "failed"


@pytest.mark.parametrize("change", [_deadline, _halt, _cancel])
async def test_what_may_have_been_sent_is_not_sent_again_either(
    settings: Settings, tmp_path: Path, change: Change
) -> None:
    """A repeat would be a call that starts: a person says what became of the first."""
    with fake_target() as target:
        target.lose = 1
        async with acting(settings, write_steps(tmp_path, _steps(target))) as stage:
            task_id = await stage.submit()
            running = asyncio.create_task(stage.run_on(task_id))
            port = target.url.rsplit(":")[-1]
            failed = f"SELECT count(*) FROM breakers WHERE executor LIKE '%{port}' AND :id <> ''"
            await _until(stage, failed, task_id)
            await change(stage, task_id)
            assert await running is TaskStatus.PARKED
            assert (len(target.requests), len(target.effects)) == (1, 1)
            assert await stage.actions(task_id) == {"pay": ("unknown", 1)}
