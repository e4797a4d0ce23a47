"""What policy denies, and somebody in a named role may put aside; and one operator in place of a quorum."""

from pathlib import Path
from typing import Any

import pytest

from control_plane.services import audit, edits, inbox, roles
from control_plane.services.control import control
from control_plane.services.edits import Edit
from control_plane.services.forks import Fork, fork_task
from control_plane.services.inbox import Said, respond
from control_plane.services.replay import replay_task
from deployments.postgres import PostgresServer
from domain.errors import AnswerRefused, InputError
from domain.settings import Settings
from domain.task import TaskStatus
from storage.repositories.control import Control
from tests.conftest import fresh_database
from tests.integration.acting import Acting, Crash, acting, crash_at
from tests.integration.approving import (
    ASKS,
    UNDECIDED,
    event,
    holds,
    open_one,
    overridable,
    parked,
    say,
    subtask,
    write_asked,
)

DENIED = overridable("DENY-1", 'context.action == "covered"')


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    """A database for each test: a role that is held is held for every task in it."""
    return fresh_database(postgres)


async def _sound(stage: Acting, task_id: str, home: Path) -> None:
    assert (await audit.verify(stage.runtime.engine, home, task_id, None)).problems == []
    found = await replay_task(stage.runtime.engine, stage.runtime.catalog, task_id)
    assert [(one["stage"], one["what"]) for one in found["stages"] if one["outcome"] != "equal"] == []


async def _verdicts(stage: Acting, task_id: str) -> list[tuple[Any, ...]]:
    sql = "SELECT effect, body -> 'overridden' FROM verdicts WHERE task_id = :id AND hop = 'arguments' ORDER BY at, key"
    return await stage.rows(sql, task_id)


async def test_a_denial_that_somebody_puts_aside(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, policies=DENIED)) as stage:
        await holds(stage, ("opa", "operator"), ("bob", "approver"))
        task_id = await parked(stage)
        asked = await open_one(stage, task_id)
        assert (asked["cause"], asked["asked"]["role"], asked["asked"]["overrides"]) == (
            *("DENY-1", "operator", ["DENY-1"]),
        )
        assert asked["shown"]["denied"]["reasons"] == ["DENY-1 says no"]
        with pytest.raises(InputError, match="DENY-1 denies this: only `parley override` by operator"):
            await say(stage, task_id, "opa")
        with pytest.raises(AnswerRefused, match="bob does not hold the role operator: opa can"):
            await say(stage, task_id, "bob", "override")
        await say(stage, task_id, "opa", "override")
        assert await stage.run(task_id) is TaskStatus.DONE
        assert await subtask(stage, task_id) == ("done", "covered", None)
        assert await _verdicts(stage, task_id) == [("deny", []), ("allow", ["DENY-1"])]
        told = await event(stage, task_id, "approve.overridden")
        assert (told["by"], told["role"], told["overrides"], told["answer"]) == (
            *("opa", "operator", ["DENY-1"], "overridden"),
        )
        assert (await event(stage, task_id, "guard.allow"))["overridden"] == ["DENY-1"]
        await _sound(stage, task_id, tmp_path)


async def test_nobody_overrides_in_a_role_that_nobody_holds(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, policies=DENIED)) as stage:
        task_id = await parked(stage)
        for word in ("override", "refuse"):
            with pytest.raises(AnswerRefused, match="nobody holds the role operator, and here it has to be held"):
                await say(stage, task_id, "opa", word)
        await holds(stage, ("ann", "operator"))
        with pytest.raises(AnswerRefused, match="ann submitted the task"):
            await say(stage, task_id, "ann", "override")


async def test_a_denial_that_is_left_standing(settings: Settings, tmp_path: Path) -> None:
    catalog = write_asked(tmp_path, {"on_expiry": "default"}, policies=DENIED)
    async with acting(settings, catalog) as stage:
        await holds(stage, ("opa", "operator"))
        refused, silent, cancelled = [await parked(stage) for _ in range(3)]
        await say(stage, refused, "opa", "refuse")
        assert await stage.run(refused) is TaskStatus.DENIED
        assert (await subtask(stage, refused))[2] == "refused by opa: opa looked"
        await stage.execute("UPDATE approvals SET expires_at = now() WHERE task_id = :id", silent)
        await stage.execute("UPDATE tasks SET due = true WHERE id = :id", silent)
        # No safe action in its place: what is denied stays denied.
        assert await stage.run(silent) is TaskStatus.DENIED
        assert (await subtask(stage, silent))[2] == "DENY-1: denied, and operator did not override it in time"
        await control(stage.runtime.engine, cancelled, Control.CANCEL, principal="bob", reason="r")
        assert await stage.run(cancelled) is TaskStatus.CANCELLED
        for task_id in (refused, cancelled):
            await _sound(stage, task_id, tmp_path)
        for task_id in (refused, silent, cancelled):
            assert await stage.actions(task_id) == {}


@pytest.mark.parametrize(
    ("more", "ends", "asks"),
    [
        # Another denial, which nobody may put aside, ends the subtask at once.
        (overridable("DENY-2", "true", role=None), TaskStatus.DENIED, None),
        (overridable("DENY-2", "true", role="board"), TaskStatus.DENIED, None),
        (overridable("HALT-1", "true", role=None, effect="halt"), TaskStatus.DENIED, None),
        (overridable("DENY-2", "true"), TaskStatus.PARKED, ["DENY-1", "DENY-2"]),
    ],
)
async def test_what_cannot_be_put_aside_by_one_role(
    settings: Settings, tmp_path: Path, more: str, ends: TaskStatus, asks: list[str] | None
) -> None:
    async with acting(settings, write_asked(tmp_path, policies=DENIED + more)) as stage:
        await holds(stage, ("opa", "operator"))
        task_id = await stage.submit()
        assert await stage.run(task_id) is ends
        if asks is not None:
            assert (await open_one(stage, task_id))["asked"]["overrides"] == asks
            await say(stage, task_id, "opa", "override")
            assert await stage.run(task_id) is TaskStatus.DONE
            await _sound(stage, task_id, tmp_path)
        else:
            assert await stage.rows("SELECT 1 FROM approvals WHERE task_id = :id", task_id) == []


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (overridable("DENY-2", "context.approved", role=None), "DENY-1 says no; DENY-2 says no"),
        (overridable("HALT-1", "context.approved", role=None, effect="halt"), "HALT-1 says no; DENY-1 says no"),
        # Overridable, but not what this request named.
        (overridable("DENY-2", "context.approved"), "DENY-1 says no; DENY-2 says no"),
    ],
)
async def test_a_denial_that_comes_with_consent_stays(
    settings: Settings, tmp_path: Path, more: str, reason: str
) -> None:
    async with acting(settings, write_asked(tmp_path, policies=DENIED + more)) as stage:
        await holds(stage, ("opa", "operator"))
        task_id = await parked(stage)
        assert (await open_one(stage, task_id))["asked"]["overrides"] == ["DENY-1"]
        await say(stage, task_id, "opa", "override")
        assert await stage.run(task_id) is TaskStatus.DENIED
        assert (await subtask(stage, task_id))[2] == reason
        assert await stage.actions(task_id) == {}
        await _sound(stage, task_id, tmp_path)


async def test_what_no_permit_names_is_not_allowed_by_an_override(settings: Settings, tmp_path: Path) -> None:
    catalog = write_asked(tmp_path, policies=DENIED)
    file = catalog / "claim" / "policies.cedar"
    permit = 'permit (principal, action, resource == Task::"claim");'
    assert permit in file.read_text()
    every = ", ".join(f'Action::"{hop}"' for hop in ("input", "retrieved", "proposal", "response"))
    narrow = f'permit (principal, action in [{every}], resource == Task::"claim");'
    file.write_text(file.read_text().replace(permit, narrow))
    async with acting(settings, catalog) as stage:
        await holds(stage, ("opa", "operator"))
        task_id = await parked(stage)
        await say(stage, task_id, "opa", "override")
        assert await stage.run(task_id) is TaskStatus.DENIED
        assert (await subtask(stage, task_id))[2] == "no policy permits this"


async def test_a_policy_that_asks_a_person_is_answered_by_the_same_consent(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, policies=ASKS + DENIED)) as stage:
        await holds(stage, ("opa", "operator"))
        task_id = await parked(stage)
        asked = (await open_one(stage, task_id))["asked"]
        assert (asked["overrides"], asked["role"]) == (["DENY-1"], "operator")
        await say(stage, task_id, "opa", "override")
        assert await stage.run(task_id) is TaskStatus.DONE
        await _sound(stage, task_id, tmp_path)


async def test_what_people_chose_and_edited_is_what_is_overridden(settings: Settings, tmp_path: Path) -> None:
    policies = overridable("DENY-1", "context.approved && context.edited", role="board")
    async with acting(settings, write_asked(tmp_path, policies=policies, strategy=UNDECIDED)) as stage:
        await holds(stage, ("mia", "board"))
        engine, task_id = stage.runtime.engine, await parked(stage)
        edit = {"share": 0.4}
        with pytest.raises(AnswerRefused, match="DENY-1"):
            await edits.edited(engine, stage.runtime.catalog, task_id, "covered", Edit(some=edit))
        await respond(engine, task_id, "approve", Said("bob", "r", "covered", edit))
        assert await stage.run(task_id) is TaskStatus.PARKED
        asked = await open_one(stage, task_id)
        assert (asked["shown"]["action"], asked["shown"]["arguments"], asked["role"]) == ("covered", edit, "board")
        await say(stage, task_id, "mia", "override")
        assert await stage.run(task_id) is TaskStatus.DONE
        assert await stage.rows("SELECT action, arguments FROM records WHERE task_id = :id", task_id) == [
            ("covered", edit)
        ]
        await _sound(stage, task_id, tmp_path)


async def test_a_crash_between_denial_and_request_asks_once(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, policies=DENIED)) as stage:
        await holds(stage, ("opa", "operator"))
        task_id = await stage.submit()
        for point in ("guard:after", "approve:inside", "approve:after"):
            with crash_at(point), pytest.raises(Crash):
                await stage.run(task_id)
        assert await stage.run(task_id) is TaskStatus.PARKED
        await open_one(stage, task_id)
        await say(stage, task_id, "opa", "override")
        for point in ("answer:after", "guard:after", "execute:inside", "execute:after"):
            with crash_at(point), pytest.raises(Crash):
                await stage.run(task_id)
        assert await stage.run(task_id) is TaskStatus.DONE
        await _sound(stage, task_id, tmp_path)


async def test_one_operator_in_place_of_a_quorum(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, {"quorum": 3})) as stage:
        task_id = await parked(stage)
        with pytest.raises(AnswerRefused, match="nobody holds the role operator"):
            await say(stage, task_id, "opa", "override")
        await holds(stage, ("opa", "operator"), ("bob", "operator"))
        await say(stage, task_id, "bob")
        with pytest.raises(AnswerRefused, match="bob has already answered"):
            await say(stage, task_id, "bob", "override")
        await say(stage, task_id, "opa", "override")
        assert await stage.run(task_id) is TaskStatus.DONE
        told = await event(stage, task_id, "approve.overridden")
        assert (told["by"], told["role"], told["overrides"], told["quorum"]) == ("opa", "operator", [], 3)
        # No policy was put aside.
        assert await _verdicts(stage, task_id) == [("require_approval", []), ("allow", [])]
        await _sound(stage, task_id, tmp_path)


async def test_an_override_of_a_stalemate_chooses(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, {"quorum": 2}, policies="", strategy=UNDECIDED)) as stage:
        await holds(stage, ("opa", "operator"))
        task_id = await parked(stage)
        with pytest.raises(InputError, match="choose with --action"):
            await say(stage, task_id, "opa", "override")
        await say(stage, task_id, "opa", "override", action="uncovered")
        assert await stage.run(task_id) is TaskStatus.DONE
        assert await subtask(stage, task_id) == ("done", "uncovered", None)


async def test_a_fork_of_an_overridden_task(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, policies=DENIED)) as stage:
        await holds(stage, ("opa", "operator"))
        task_id = await parked(stage)
        await say(stage, task_id, "opa", "override")
        assert await stage.run(task_id) is TaskStatus.DONE
        engine, catalog = stage.runtime.engine, stage.runtime.catalog

        async def fork(at: str) -> str:
            return str((await fork_task(engine, catalog, Fork(task_id, at, None, False, "cleo")))["task_id"])

        taken = await fork("execute")
        assert await stage.run(taken) is TaskStatus.DONE
        for at in ("guard", "approve"):
            forked = await fork(at)
            assert await stage.run(forked) is TaskStatus.PARKED
            assert (await open_one(stage, forked))["asked"]["overrides"] == ["DENY-1"]
            await say(stage, forked, "opa", "override")
            assert await stage.run(forked) is TaskStatus.DONE
            await _sound(stage, forked, tmp_path)
        await _sound(stage, taken, tmp_path)


async def test_roles_that_policies_name_can_be_granted(settings: Settings, tmp_path: Path) -> None:
    catalog = write_asked(
        tmp_path,
        {"role": "clerk", "chain": [{"role": "head", "after": "P1D"}]},
        policies=overridable("DENY-1", "true", role="board"),
    )
    async with acting(settings, catalog) as stage:
        assert {"clerk", "head", "board", "operator", "admin"} <= roles.known_roles(stage.runtime.catalog)
        assert len(await inbox.open_approvals(stage.runtime.engine)) == 0
