"""Several people answer one request: k equal approvals decide it, and nobody counts twice."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from control_plane.services import audit
from control_plane.services.replay import replay_task
from domain.errors import AnswerRefused
from domain.settings import Settings
from domain.task import TaskStatus
from orchestration.recovery import recover
from tests.integration.acting import Acting, acting
from tests.integration.approving import UNDECIDED, event, holds, open_one, parked, say, subtask, write_asked

ANSWERS = 50


async def _sound(stage: Acting, task_id: str, home: Path) -> None:
    assert (await audit.verify(stage.runtime.engine, home, task_id, None)).problems == []
    found = await replay_task(stage.runtime.engine, stage.runtime.catalog, task_id)
    assert [(one["stage"], one["what"]) for one in found["stages"] if one["outcome"] != "equal"] == []


async def test_two_of_three_approve(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, {"quorum": 2, "of": 3})) as stage:
        task_id = await parked(stage)
        assert (await say(stage, task_id, "bob"))["status"] == "open"
        asked = (await open_one(stage, task_id))["asked"]
        assert (asked["approved"], asked["refused"], asked["quorum"], asked["of"]) == (1, 0, 2, 3)
        assert [(one["principal"], one["answer"]) for one in asked["answers"]] == [("bob", "approved")]
        # Nothing is decided: the task is not due.
        assert await stage.rows("SELECT due FROM tasks WHERE id = :id", task_id) == [(False,)]
        assert (await say(stage, task_id, "eve", "refuse"))["status"] == "open"
        assert (await say(stage, task_id, "carol"))["status"] == "approved"
        assert await stage.run(task_id) is TaskStatus.DONE
        assert await stage.events(task_id, "approve.%") == [
            *("approve.asked", "approve.counted", "approve.counted", "approve.answered", "approve.approved")
        ]
        assert (await event(stage, task_id, "approve.asked"))["quorum"] == 2
        await _sound(stage, task_id, tmp_path)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (("refuse", "refuse"), "refused by p1: p1 looked (2 of 3 were asked to approve)"),
        (("refuse", "approve", "refuse"), "refused by p2: p2 looked (2 of 3 were asked to approve)"),
    ],
)
async def test_enough_refusals_refuse(settings: Settings, tmp_path: Path, said: tuple[str, ...], reason: str) -> None:
    async with acting(settings, write_asked(tmp_path, {"quorum": 2, "of": 3})) as stage:
        task_id = await parked(stage)
        for number, word in enumerate(said):
            assert (await open_one(stage, task_id))["status"] == "open"
            await say(stage, task_id, f"p{number}", word)
        assert await stage.run(task_id) is TaskStatus.DENIED
        assert (await subtask(stage, task_id))[2] == reason
        with pytest.raises(AnswerRefused, match="was already answered: refused by"):
            await say(stage, task_id, "late")
        await _sound(stage, task_id, tmp_path)


@pytest.mark.parametrize(
    ("options", "ends", "told"),
    [
        (("covered", "uncovered", "uncovered"), TaskStatus.DONE, ("done", "uncovered", None)),
        (("covered", "covered"), TaskStatus.DONE, ("done", "covered", None)),
    ],
)
async def test_of_a_stalemate_so_many_have_to_choose_the_same(
    settings: Settings, tmp_path: Path, options: tuple[str, ...], ends: TaskStatus, told: tuple[Any, ...]
) -> None:
    catalog = write_asked(tmp_path, {"quorum": 2, "of": 3}, policies="", strategy=UNDECIDED)
    async with acting(settings, catalog) as stage:
        task_id = await parked(stage)
        for number, option in enumerate(options):
            await say(stage, task_id, f"p{number}", action=option)
        assert await stage.run(task_id) is ends
        assert await subtask(stage, task_id) == told
        await _sound(stage, task_id, tmp_path)


async def test_people_who_cannot_agree_refuse(settings: Settings, tmp_path: Path) -> None:
    catalog = write_asked(tmp_path, {"quorum": 2}, policies="", strategy=UNDECIDED)
    async with acting(settings, catalog) as stage:
        task_id = await parked(stage)
        await say(stage, task_id, "bob", action="covered")
        assert (await say(stage, task_id, "eve", action="uncovered"))["status"] == "refused"
        assert await stage.run(task_id) is TaskStatus.DENIED
        assert await subtask(stage, task_id) == ("denied", None, "no 2 of 2 people agree")
        await _sound(stage, task_id, tmp_path)


async def test_too_few_in_time_refuse(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, {"quorum": 2}, sla={"approval_deadline": "PT0.7S"})) as stage:
        task_id = await parked(stage)
        await say(stage, task_id, "bob")
        await asyncio.sleep(0.8)
        await recover(stage.runtime.engine)
        assert await stage.run(task_id) is TaskStatus.DENIED
        assert (await subtask(stage, task_id))[2] == "no 2 equal approvals came before the approval's deadline"
        await _sound(stage, task_id, tmp_path)


async def test_nobody_answers_twice_nor_for_their_own_task(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, {"quorum": 2, "of": 3})) as stage:
        task_id = await parked(stage)
        await say(stage, task_id, "bob")
        for word in ("approve", "refuse"):
            with pytest.raises(AnswerRefused, match="bob has already answered: approved at"):
                await say(stage, task_id, "bob", word)
        with pytest.raises(AnswerRefused, match="ann submitted the task: somebody else"):
            await say(stage, task_id, "ann")
        assert (await open_one(stage, task_id))["asked"]["approved"] == 1


async def test_an_unclassifiable_answer_refuses(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        assert (await say(stage, task_id, "bob", "sure, go ahead"))["status"] == "refused"
        assert await stage.run(task_id) is TaskStatus.DENIED


@pytest.mark.parametrize(("quorum", "counted"), [(1, 1), (3, 3)])
async def test_of_fifty_at_once_as_many_count_as_decide(
    settings: Settings, tmp_path: Path, quorum: int, counted: int
) -> None:
    given = settings.model_copy(update={"worker_concurrency": 16})
    async with acting(given, write_asked(tmp_path, {"quorum": quorum, "of": max(quorum, 3)})) as stage:
        task_id = await parked(stage)
        answers = (say(stage, task_id, f"p{number}") for number in range(ANSWERS))
        done = await asyncio.gather(*answers, return_exceptions=True)
        taken = [one for one in done if isinstance(one, dict)]
        refused = [one for one in done if isinstance(one, AnswerRefused)]
        assert (len(taken), len(refused)) == (counted, ANSWERS - counted)
        assert Counter(one["status"] for one in taken) == Counter({"open": counted - 1, "approved": 1})
        assert all("was already answered: approved by" in str(one) for one in refused)
        rows = await stage.rows("SELECT count(*), min(answer) FROM approval_answers WHERE task_id = :id", task_id)
        assert rows == [(counted, "approved")]
        assert await stage.run(task_id) is TaskStatus.DONE
        await _sound(stage, task_id, tmp_path)


async def test_one_person_at_fifty_doors_counts_once(settings: Settings, tmp_path: Path) -> None:
    given = settings.model_copy(update={"worker_concurrency": 16})
    async with acting(given, write_asked(tmp_path, {"quorum": 2, "of": 3})) as stage:
        task_id = await parked(stage)
        done = await asyncio.gather(*(say(stage, task_id, "bob") for _ in range(ANSWERS)), return_exceptions=True)
        assert sum(isinstance(one, dict) for one in done) == 1
        assert (await open_one(stage, task_id))["asked"]["approved"] == 1


async def test_the_chain_speaks_for_each_answer(settings: Settings, tmp_path: Path, dsn: str) -> None:
    catalog = write_asked(tmp_path, {"quorum": 2, "of": 3, "role": "looker"})
    async with acting(settings, catalog) as stage:
        await holds(stage, ("bob", "looker"), ("carol", "looker"))
        task_id = await parked(stage)
        await say(stage, task_id, "bob")
        await say(stage, task_id, "carol")
        assert await stage.run(task_id) is TaskStatus.DONE
        await _sound(stage, task_id, tmp_path)

        async def problems() -> list[tuple[str, bool]]:
            found = (await audit.verify(stage.runtime.engine, tmp_path, task_id, None)).problems
            return [(one.kind, "approval_answers" in one.detail) for one in found]

        # The owner of the tables, behind the triggers.
        with psycopg.connect(dsn, autocommit=True) as owner:
            owner.execute("ALTER TABLE approval_answers DISABLE TRIGGER ALL")
            owner.execute("CREATE TEMP TABLE kept AS SELECT * FROM approval_answers")
            for change in ("answer = 'refused'", "grant_id = NULL", "choice = 'x'", "arguments = '{\"share\": 1}'"):
                owner.execute(
                    f"UPDATE approval_answers SET {change} WHERE task_id = %s AND principal = 'bob'", [task_id]
                )
                assert await problems() == [("edited", True)], change
                owner.execute("DELETE FROM approval_answers WHERE task_id = %s AND principal = 'bob'", [task_id])
                assert await problems() == [("missing", True)]
                owner.execute(
                    "INSERT INTO approval_answers SELECT * FROM kept WHERE task_id = %s AND principal = 'bob'",
                    [task_id],
                )
            assert await problems() == []


async def test_a_digest_of_something_else_is_refused(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, {"quorum": 2})) as stage:
        task_id = await parked(stage)
        with pytest.raises(AnswerRefused, match="digest is not that of what is shown"):
            await say(stage, task_id, "bob", digest="0" * 64)
        shown = (await open_one(stage, task_id))["digest"]
        await say(stage, task_id, "bob", digest=shown)
        assert (await open_one(stage, task_id))["asked"]["approved"] == 1
