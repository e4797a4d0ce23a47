"""One request goes on from role to role, by the database's clock."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from control_plane.services import audit
from control_plane.services.control import control
from control_plane.services.replay import replay_task
from deployments.postgres import PostgresServer
from domain.errors import AnswerRefused
from domain.settings import Settings
from domain.task import TaskStatus
from orchestration.recovery import recover
from storage.repositories.control import Control
from tests.conftest import fresh_database
from tests.integration.acting import Acting, acting
from tests.integration.approving import event, holds, open_one, parked, say, subtask, write_asked

CHAIN = [{"role": "head", "after": "PT1H"}, {"role": "board", "after": "PT2H"}]
SLA = {"approval_deadline": "PT10H"}
HELD = (("bob", "approver"), ("hal", "head"), ("mia", "board"))


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    """A database for each test: a role that is held is held for every task in it."""
    return fresh_database(postgres)


def _catalog(root: Path, **more: Any) -> Path:
    return write_asked(root, {"chain": CHAIN, **more}, sla=SLA)


async def _pass(stage: Acting, task_id: str, minutes: int) -> None:
    """As if so much time had passed."""
    for column in ("next_at", "expires_at"):
        sql = f"UPDATE approvals SET {column} = {column} - interval '{minutes} minutes' WHERE task_id = :id"
        await stage.execute(sql, task_id)


async def _due(stage: Acting, task_id: str) -> bool:
    return bool((await stage.rows("SELECT due FROM tasks WHERE id = :id", task_id))[0][0])


async def _chain_holds(stage: Acting, task_id: str, home: Path) -> None:
    # What the clock was moved for is the one thing that differs.
    found = (await audit.verify(stage.runtime.engine, home, task_id, None)).problems
    assert [(one.kind, "approvals" in one.detail) for one in found] == [("edited", True)]


async def test_the_request_stays_one_and_goes_on_to_each_role(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        await holds(stage, *HELD)
        task_id = await parked(stage)
        first = await open_one(stage, task_id)
        assert (first["asked"]["role"], first["asked"]["step"]) == ("approver", 0)
        assert first["asked"]["roles"] == ["approver", "head", "board"]
        for minutes, role, step in ((59, "approver", 0), (2, "head", 1), (119, "head", 1), (2, "board", 2)):
            await _pass(stage, task_id, minutes)
            await recover(stage.runtime.engine)
            asked = await open_one(stage, task_id)
            assert (asked["asked"]["role"], asked["asked"]["step"]) == (role, step)
            assert (asked["id"], asked["digest"]) == (first["id"], first["digest"])
        assert asked["asked"]["next_at"] is None
        assert not await _due(stage, task_id)
        assert (await event(stage, task_id, "approve.escalated")) == {
            **{"approval": first["id"], "of": "head", "to": "board", "step": 2, "steps": 2, "digest": first["digest"]}
        }
        for who, role in (("bob", "approver"), ("hal", "head")):
            with pytest.raises(AnswerRefused, match=f"the time of {role} is over: board is asked now, and {who} is"):
                await say(stage, task_id, who)
        await say(stage, task_id, "mia")
        assert await stage.run(task_id) is TaskStatus.DONE
        assert await stage.events(task_id, "approve.%") == [
            *("approve.asked", "approve.escalated", "approve.escalated", "approve.answered", "approve.approved")
        ]
        [(summary,)] = await stage.rows("SELECT summary FROM tasks WHERE id = :id", task_id)
        assert [one["event"] for one in summary["deadlines"]] == ["approve.escalated", "approve.escalated"]
        await _chain_holds(stage, task_id, tmp_path)
        found = await replay_task(stage.runtime.engine, stage.runtime.catalog, task_id)
        assert [(one["stage"], one["what"]) for one in found["stages"] if one["outcome"] != "equal"] == []


async def test_answers_of_an_earlier_role_count_on(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path, quorum=2)) as stage:
        await holds(stage, *HELD)
        task_id = await parked(stage)
        await say(stage, task_id, "bob")
        await _pass(stage, task_id, 61)
        await recover(stage.runtime.engine)
        with pytest.raises(AnswerRefused, match="bob has already answered"):
            await say(stage, task_id, "bob")
        assert (await say(stage, task_id, "hal"))["status"] == "approved"
        sql = "SELECT principal, role FROM approval_answers WHERE task_id = :id ORDER BY at"
        assert await stage.rows(sql, task_id) == [("bob", "approver"), ("hal", "head")]
        assert await stage.run(task_id) is TaskStatus.DONE


async def test_an_answer_that_comes_before_recovery_finds_the_next_role_asked(
    settings: Settings, tmp_path: Path
) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        await holds(stage, *HELD)
        task_id = await parked(stage)
        await _pass(stage, task_id, 61)
        with pytest.raises(AnswerRefused, match="the time of approver is over: head is asked now"):
            await say(stage, task_id, "bob")
        # Told with the refusal, and once.
        assert (await event(stage, task_id, "approve.escalated"))["to"] == "head"
        await recover(stage.runtime.engine)
        await say(stage, task_id, "hal")
        assert await stage.events(task_id, "approve.escalated") == ["approve.escalated"]
        assert await stage.run(task_id) is TaskStatus.DONE


async def test_many_recoveries_at_once_step_once(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        task_ids = [await parked(stage) for _ in range(4)]
        for task_id in task_ids:
            await _pass(stage, task_id, 61)
        await asyncio.gather(*(recover(stage.runtime.engine) for _ in range(8)))
        await recover(stage.runtime.engine)
        for task_id in task_ids:
            assert await stage.events(task_id, "approve.escalated") == ["approve.escalated"]
            assert (await open_one(stage, task_id))["asked"]["step"] == 1
            sql = "SELECT what, role FROM notices WHERE task_id = :id ORDER BY at, key"
            assert sorted(await stage.rows(sql, task_id)) == [("escalated", "head"), ("opened", "approver")]


@pytest.mark.parametrize(
    ("on_expiry", "ends", "told"),
    [
        (
            "refuse",
            TaskStatus.DENIED,
            ("denied", None, "no answer came before the approval's deadline, nor from head, nor from board"),
        ),
        ("default", TaskStatus.DONE, ("done", "uncovered", None)),
    ],
)
async def test_silence_to_the_end(
    settings: Settings, tmp_path: Path, on_expiry: str, ends: TaskStatus, told: tuple[Any, ...]
) -> None:
    async with acting(settings, _catalog(tmp_path, on_expiry=on_expiry)) as stage:
        task_id = await parked(stage)
        for minutes in (61, 121, 600):
            await _pass(stage, task_id, minutes)
            await recover(stage.runtime.engine)
        assert await _due(stage, task_id)
        with pytest.raises(AnswerRefused, match="the answer is late"):
            await say(stage, task_id, "bob")
        assert await stage.run(task_id) is ends
        assert await subtask(stage, task_id) == told


async def test_a_pause_holds_back_no_role(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        task_id = await parked(stage)
        await control(stage.runtime.engine, task_id, Control.PAUSE, principal="bob", reason="r")
        await _pass(stage, task_id, 61)
        await recover(stage.runtime.engine)
        assert (await open_one(stage, task_id))["asked"]["role"] == "head"
        assert not await _due(stage, task_id)


async def test_an_ended_task_asks_nobody_further(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        task_id = await parked(stage)
        await control(stage.runtime.engine, task_id, Control.CANCEL, principal="bob", reason="r")
        assert await stage.run(task_id) is TaskStatus.CANCELLED
        await _pass(stage, task_id, 61)
        await recover(stage.runtime.engine)
        assert await stage.events(task_id, "approve.escalated") == []


async def test_the_safe_action_is_not_taken_while_a_role_is_left(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path, on_expiry="default")) as stage:
        task_id = await parked(stage)
        await _pass(stage, task_id, 61)
        await recover(stage.runtime.engine)
        assert not await _due(stage, task_id)
        assert await stage.actions(task_id) == {}


async def test_a_restarted_stack_gives_the_next_role_its_whole_time(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, _catalog(tmp_path)) as stage:
        task_id = await parked(stage)
        # Nobody drove the chain for long: past the time of both roles.
        await _pass(stage, task_id, 200)
        for _ in range(3):
            await recover(stage.runtime.engine)
        asked = (await open_one(stage, task_id))["asked"]
        assert (asked["role"], asked["step"]) == ("head", 1)
