"""Six points at which a run dies around a call, for each kind of target: the effect is counted at the target.

The crash is an exception at the kill point; the fault matrix (tests/faults) does the same with SIGKILL.
"""

from pathlib import Path

import psycopg
import pytest

from control_plane.services import inbox
from domain import faults
from domain.action import ExecutorKind
from domain.errors import InputError
from domain.settings import Settings
from domain.task import TaskStatus
from tests.fakes.target import fake_target
from tests.integration.acting import Crash, acting, crash_at, write_steps

POINTS = {
    "before the intent": ("execute:before", 1),
    "before the intent is committed": ("execute:inside", 1),
    "before the call": ("execute:before_call", 1),
    "after the call": ("execute:after_call", 1),
    "before the end is committed": ("execute:inside", 2),
    "after the end": ("execute:after", 1),
}
DOUBTFUL = {"before the call": 0, "after the call": 1, "before the end is committed": 1}
"""Points that leave the row at `sending`, with how often the effect has happened by then."""


@pytest.mark.parametrize("place", POINTS)
@pytest.mark.parametrize("kind", [ExecutorKind.DEDUP, ExecutorKind.FENCED, ExecutorKind.QUERY])
async def test_one_effect_wherever_it_dies(settings: Settings, tmp_path: Path, kind: ExecutorKind, place: str) -> None:
    with fake_target(kind) as target:
        catalog = write_steps(tmp_path, {"pay": {"executor_parameters": target.parameters()}})
        async with acting(settings, catalog) as stage:
            task_id = await stage.submit()
            with crash_at(*POINTS[place]), pytest.raises(Crash):
                await stage.run(task_id)
            assert len(target.effects) == (1 if place == "after the end" else DOUBTFUL.get(place, 0))
            assert await stage.run_on(task_id) is TaskStatus.DONE
            assert target.effects == [f"{task_id}/pay"]
            assert (await stage.actions(task_id))["pay"][0] == "done"
            if kind is ExecutorKind.QUERY:
                # Asked where a send was in doubt, and never sent again where it was found.
                assert bool(target.questions) is (place in DOUBTFUL)
                assert len(target.requests) == 1


@pytest.mark.parametrize("kind", [ExecutorKind.DEDUP, ExecutorKind.QUERY])
async def test_a_doubtful_action_whose_host_is_no_longer_allowed_is_for_a_person(
    settings: Settings, tmp_path: Path, kind: ExecutorKind
) -> None:
    """Nothing can be sent or asked, which does not mean that nothing happened."""
    with fake_target(kind) as target:
        catalog = write_steps(tmp_path, {"pay": {"executor_parameters": target.parameters()}})
        async with acting(settings, catalog) as stage:
            task_id = await stage.submit()
            with crash_at("execute:after_call"), pytest.raises(Crash):
                await stage.run(task_id)
        async with acting(settings.model_copy(update={"outbound_hosts": ()}), catalog) as stage:
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            assert (await stage.actions(task_id))["pay"] == ("unknown", 2)
            [(cause, error)] = await stage.rows(
                "SELECT p.cause, a.error FROM approvals p JOIN actions a USING (task_id) WHERE p.task_id = :id", task_id
            )
            assert (cause, "PARLEY_OUTBOUND_HOSTS" in error) == ("effect_unknown", True)
            assert (len(target.requests), target.questions) == (1, [])
            assert await stage.rows("SELECT executor FROM breakers WHERE failures > 0 AND executor LIKE :id", "%") == []
            await stage.answer(task_id, "done")
            assert await stage.run_on(task_id) is TaskStatus.DONE
    assert len(target.effects) == 1


@pytest.mark.parametrize("place", POINTS)
async def test_a_blind_target_is_never_sent_a_doubtful_action_again(
    settings: Settings, tmp_path: Path, place: str
) -> None:
    with fake_target(ExecutorKind.BLIND) as target:
        catalog = write_steps(tmp_path, {"pay": {"executor_parameters": target.parameters()}})
        async with acting(settings, catalog) as stage:
            task_id = await stage.submit()
            with crash_at(*POINTS[place]), pytest.raises(Crash):
                await stage.run(task_id)
            if place not in DOUBTFUL:
                assert await stage.run_on(task_id) is TaskStatus.DONE
                assert len(target.effects) == 1
                return
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            assert (await stage.actions(task_id))["pay"][0] == "unknown"
            await stage.answer(task_id, "done" if DOUBTFUL[place] else "not_done")
            expected = TaskStatus.DONE if DOUBTFUL[place] else TaskStatus.FAILED
            assert await stage.run_on(task_id) is expected
            assert len(target.effects) == DOUBTFUL[place]
            assert len(target.requests) == DOUBTFUL[place]
            assert await stage.events(task_id, "settle.%") == ["settle.asked", "settle.taken"]


@pytest.mark.parametrize("way", ["lose", "hang"])
@pytest.mark.parametrize("kind", list(ExecutorKind))
async def test_an_answer_that_never_comes(settings: Settings, tmp_path: Path, kind: ExecutorKind, way: str) -> None:
    with fake_target(kind) as target:
        setattr(target, way, 1)
        catalog = write_steps(tmp_path, {"pay": {"executor_parameters": target.parameters()}})
        async with acting(settings, catalog) as stage:
            task_id = await stage.submit()
            blind = kind is ExecutorKind.BLIND
            assert await stage.run_on(task_id) is (TaskStatus.PARKED if blind else TaskStatus.DONE)
            assert len(target.effects) == 1
            if blind:
                await stage.answer(task_id, "done")
                assert await stage.run_on(task_id) is TaskStatus.DONE
                assert len(target.requests) == 1
                [(reason,)] = await stage.rows("SELECT error FROM actions WHERE task_id = :id", task_id)
                assert "SendInDoubt" in reason


async def test_a_query_target_is_not_believed_before_the_longest_send_has_passed(
    settings: Settings, tmp_path: Path
) -> None:
    with fake_target(ExecutorKind.QUERY) as target:
        catalog = write_steps(tmp_path, {"pay": {"executor_parameters": target.parameters(max_send_seconds=60)}})
        async with acting(settings, catalog) as stage:
            task_id = await stage.submit()
            with crash_at("execute:before_call"), pytest.raises(Crash):
                await stage.run(task_id)
            assert await stage.run(task_id) is TaskStatus.RUNNING
            assert (len(target.questions), len(target.requests)) == (1, 0)
            # The send that was under way arrives after all.
            target.effects.append(f"{task_id}/pay")
            assert await stage.run_on(task_id) is TaskStatus.DONE
            assert (len(target.effects), len(target.requests)) == (1, 0)


async def test_no_call_starts_past_the_deadline(settings: Settings, tmp_path: Path, dsn: str) -> None:
    def pass_deadline(point: str) -> None:
        if point == "execute:before":
            with psycopg.connect(dsn) as connection:
                connection.execute("UPDATE tasks SET parked_seconds = -1e7 WHERE ended_at IS NULL")

    with fake_target() as target:
        catalog = write_steps(tmp_path, {"pay": {"executor_parameters": target.parameters()}})
        async with acting(settings, catalog) as stage:
            task_id = await stage.submit()
            faults.watch(pass_deadline)
            try:
                assert await stage.run(task_id) is TaskStatus.EXPIRED
            finally:
                faults.watch(None)
            assert target.requests == []


async def test_a_stale_fence_is_refused_by_the_target(settings: Settings, tmp_path: Path) -> None:
    with fake_target(ExecutorKind.FENCED) as target:
        catalog = write_steps(tmp_path, {"pay": {"executor_parameters": target.parameters()}})
        async with acting(settings, catalog) as stage:
            task_id = await stage.submit()
            target.fences[task_id] = 7
            assert await stage.run_on(task_id) is TaskStatus.FAILED
            assert target.effects == []
            assert [fence for _, fence, _ in target.requests] == [1]


async def test_the_question_takes_only_its_own_answers(settings: Settings, tmp_path: Path) -> None:
    with fake_target(ExecutorKind.BLIND) as target:
        target.lose = 1
        catalog = write_steps(tmp_path, {"pay": {"executor_parameters": target.parameters()}})
        async with acting(settings, catalog) as stage:
            task_id = await stage.submit()
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            with pytest.raises(InputError, match="what happened"):
                await inbox.refuse(stage.runtime.engine, task_id, principal="bob", reason="no", digest=None)
            with pytest.raises(InputError, match="done, not_done"):
                await stage.answer(task_id, "covered")
            # Nobody answers: that is said, and the subtask fails.
            await stage.execute("UPDATE approvals SET expires_at = now() WHERE task_id = :id", task_id)
            await stage.execute("UPDATE tasks SET due = true WHERE id = :id", task_id)
            assert await stage.run_on(task_id) is TaskStatus.FAILED
            [(reason,)] = await stage.rows("SELECT reason FROM tasks WHERE id = :id", task_id)
            assert "no answer came in time" in reason
            assert len(target.effects) == 1
