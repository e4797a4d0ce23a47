"""Arguments that people change with their consent: within bounds, through the gate again, and bound."""

import io
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from control_plane.services import audit, edits, inbox
from control_plane.services.edits import Edit
from control_plane.services.inbox import Said, respond
from control_plane.services.replay import replay_task
from domain.errors import AnswerRefused, InputError
from domain.settings import Settings
from domain.task import TaskStatus
from tests.integration.acting import Acting, acting
from tests.integration.approving import (
    ASKS,
    NEVER_EDITED,
    UNDECIDED,
    event,
    open_one,
    parked,
    subtask,
    write_asked,
)


async def _edit(stage: Acting, task_id: str, who: str, action: str | None = None, **some: Any) -> Any:
    given = await edits.edited(stage.runtime.engine, stage.runtime.catalog, task_id, action, Edit(some=some))
    return await respond(stage.runtime.engine, task_id, "approve", Said(who, "less", action, given))


async def _sound(stage: Acting, task_id: str, home: Path) -> None:
    assert (await audit.verify(stage.runtime.engine, home, task_id, None)).problems == []
    found = await replay_task(stage.runtime.engine, stage.runtime.catalog, task_id)
    assert [(one["stage"], one["what"]) for one in found["stages"] if one["outcome"] != "equal"] == []


async def _done(stage: Acting, task_id: str) -> Any:
    return (await stage.rows("SELECT action, arguments FROM records WHERE task_id = :id", task_id))[0]


async def test_what_is_executed_are_the_edited_arguments(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        await _edit(stage, task_id, "bob", share=0.4, note={"of": ["a", None]})
        assert await stage.run(task_id) is TaskStatus.DONE
        edit = {"share": 0.4, "note": {"of": ["a", None]}}
        assert await _done(stage, task_id) == ("covered", edit)
        [(request,)] = await stage.rows("SELECT request FROM actions WHERE task_id = :id", task_id)
        assert request["arguments"] == edit
        assert (await event(stage, task_id, "approve.answered"))["edited"]
        bodies = await stage.rows(
            "SELECT body FROM verdicts WHERE task_id = :id AND hop = 'arguments' ORDER BY at", task_id
        )
        first, second = (one[0] for one in bodies)
        assert (first["effect"], second["effect"]) == ("require_approval", "allow")
        assert first["input_hash"] != second["input_hash"]
        await _sound(stage, task_id, tmp_path)


async def test_an_edit_of_what_a_person_chose(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, policies="", strategy=UNDECIDED)) as stage:
        task_id = await parked(stage)
        await _edit(stage, task_id, "bob", "covered", share=1)
        assert await stage.run(task_id) is TaskStatus.DONE
        assert await _done(stage, task_id) == ("covered", {"share": 1})
        await _sound(stage, task_id, tmp_path)


@pytest.mark.parametrize(
    ("action", "some", "said"),
    [
        ("covered", {"amount": 1}, "amount of covered may not be changed: its counter_arguments are share, note"),
        ("uncovered", {"share": 1}, "share of uncovered may not be changed: its counter_arguments are none"),
        ("covered", {}, "it changes nothing"),
        ("double", {"share": 1}, "not among what was shown"),
        (None, {"share": 1}, "choose with --action"),
    ],
)
async def test_what_may_not_be_edited(
    settings: Settings, tmp_path: Path, action: str | None, some: dict[str, Any], said: str
) -> None:
    async with acting(settings, write_asked(tmp_path, policies="", strategy=UNDECIDED)) as stage:
        task_id = await parked(stage)
        with pytest.raises(InputError, match=said):
            await _edit(stage, task_id, "bob", action, **some)
        assert (await open_one(stage, task_id))["status"] == "open"


async def test_an_edit_that_policy_does_not_let_pass_is_refused_with_its_reason(
    settings: Settings, tmp_path: Path
) -> None:
    async with acting(settings, write_asked(tmp_path, policies=ASKS + NEVER_EDITED)) as stage:
        task_id = await parked(stage)
        with pytest.raises(AnswerRefused, match=r"\(deny: EDIT-001\): Not with a share of their own making"):
            await _edit(stage, task_id, "bob", share=0.4)
        with pytest.raises(AnswerRefused, match="SEC-001"):
            await _edit(stage, task_id, "bob", note="password=hunter22")
        # Whoever goes past the first look meets the guard.
        await respond(stage.runtime.engine, task_id, "approve", Said("bob", "r", None, {"share": 0.4}))
        assert await stage.run(task_id) is TaskStatus.DENIED
        assert (await subtask(stage, task_id))[2] == "Not with a share of their own making"
        assert await stage.actions(task_id) == {}
        await _sound(stage, task_id, tmp_path)


async def test_equal_edits_count_together(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path, {"quorum": 2, "of": 4})) as stage:
        task_id = await parked(stage)
        await _edit(stage, task_id, "bob", share=0.4)
        await _edit(stage, task_id, "eve", share=0.5)
        await inbox.approve(stage.runtime.engine, task_id, principal="ian", reason="r", action=None, digest=None)
        assert (await open_one(stage, task_id))["asked"]["approved"] == 3
        assert (await _edit(stage, task_id, "mia", share=0.4))["status"] == "approved"
        assert await stage.run(task_id) is TaskStatus.DONE
        assert await _done(stage, task_id) == ("covered", {"share": 0.4})
        await _sound(stage, task_id, tmp_path)


async def test_an_edit_that_was_changed_in_the_records_is_not_executed(
    settings: Settings, tmp_path: Path, dsn: str
) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        await _edit(stage, task_id, "bob", share=0.4)
        with psycopg.connect(dsn, autocommit=True) as owner:
            owner.execute("ALTER TABLE approval_answers DISABLE TRIGGER ALL")
            owner.execute("UPDATE approval_answers SET arguments = '{\"share\": 4}' WHERE task_id = %s", [task_id])
            owner.execute("ALTER TABLE approval_answers ENABLE TRIGGER ALL")
        # It stands for nothing any more, and exactly this was answered: nobody is asked again.
        assert await stage.run(task_id) is TaskStatus.DENIED
        assert await stage.actions(task_id) == {}
        found = (await audit.verify(stage.runtime.engine, tmp_path, task_id, None)).problems
        assert [one.kind for one in found] == ["edited"]


def test_how_an_edit_is_read(tmp_path: Path) -> None:
    file = tmp_path / "edit.json"
    file.write_text(json.dumps({"share": 0.5}))
    stdin = io.BytesIO(b"")
    assert edits.read_edit(None, (), stdin) is None
    read = edits.read_edit(file, ["share=0.4", "note=as agreed", "who=null"], stdin)
    assert read == Edit(whole={"share": 0.5}, some={"share": 0.4, "note": "as agreed", "who": None})
    for wrong in ("share", "=1"):
        with pytest.raises(InputError, match="give it as NAME=VALUE"):
            edits.read_edit(None, [wrong], stdin)
    for content in ('{"a": NaN}', "[1]", '{"a": 1, "a": 2}', "{"):
        file.write_text(content)
        with pytest.raises(InputError):
            edits.read_edit(file, (), stdin)
    with pytest.raises(InputError):
        edits.read_edit(None, ["note=" + "\x00"], stdin)
