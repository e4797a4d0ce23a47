"""An answer stands for exactly what was shown: whatever is different when it is used, it is not used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tasks.bindings
from control_plane.services import inbox
from control_plane.services.inbox_diff import diff
from domain.errors import AnswerRefused
from domain.settings import Settings
from domain.task import TaskStatus
from orchestration.wiring import catalog_of
from tests.integration.acting import Acting, Crash, acting, crash_at
from tests.integration.approving import UNDECIDED, change_type, open_one, parked, say, subtask, write_asked

Change = Callable[[Acting, str, Path, pytest.MonkeyPatch], Any]


async def _sql(stage: Acting, task_id: str, sql: str) -> None:
    await stage.execute(sql.replace(":here", "task_id = :id"), task_id)


async def _payload(stage: Acting, task_id: str, catalog: Path, patch: pytest.MonkeyPatch) -> None:
    await stage.execute("UPDATE tasks SET payload = payload || '{\"amount\": 9000}' WHERE id = :id", task_id)


async def _action(stage: Acting, task_id: str, catalog: Path, patch: pytest.MonkeyPatch) -> None:
    option = json.dumps({"name": "uncovered", "action": "uncovered", "arguments": {}})
    change = f"UPDATE decisions SET body = jsonb_set(body, '{{option}}', CAST('{option}' AS jsonb)) WHERE :here"
    # The text that follows a colon in JSON is no parameter.
    await _sql(stage, task_id, change.replace('": ', '" \\: '))


async def _arguments(stage: Acting, task_id: str, catalog: Path, patch: pytest.MonkeyPatch) -> None:
    await _sql(
        stage, task_id, "UPDATE decisions SET body = jsonb_set(body, '{option,arguments,share}', '2') WHERE :here"
    )


async def _context(stage: Acting, task_id: str, catalog: Path, patch: pytest.MonkeyPatch) -> None:
    await _sql(
        stage, task_id, "UPDATE decisions SET body = jsonb_set(body, '{snapshot_hash}', '\"other\"') WHERE :here"
    )


async def _policies(stage: Acting, task_id: str, catalog: Path, patch: pytest.MonkeyPatch) -> None:
    file = catalog / "claim" / "policies.cedar"
    file.write_text(file.read_text() + "\n// another word\n")


async def _people(stage: Acting, task_id: str, catalog: Path, patch: pytest.MonkeyPatch) -> None:
    change_type(catalog, approvals={"role": "approver", "quorum": 2})


async def _question(stage: Acting, task_id: str, catalog: Path, patch: pytest.MonkeyPatch) -> None:
    file = catalog / "claim" / "task_type.yaml"
    file.write_text(file.read_text().replace("What of the coverage?", "Shall we?"))


async def _graph(stage: Acting, task_id: str, catalog: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tasks.bindings, "GRAPH_VERSION", "2")


CHANGES: dict[str, Change] = {
    "payload": _payload,
    "action": _action,
    "arguments": _arguments,
    "context_hash": _context,
    "policy_hash": _policies,
    "asks": _people,
    "question": _question,
    "graph_version": _graph,
}


async def _approved(stage: Acting) -> str:
    task_id = await parked(stage)
    await say(stage, task_id, "bob")
    return task_id


@pytest.mark.parametrize("field", CHANGES)
async def test_a_field_that_differs_is_seen_and_asked_anew(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    catalog = write_asked(tmp_path)
    async with acting(settings, catalog) as stage:
        task_id = await parked(stage)
        first = await open_one(stage, task_id)
        assert (await diff(stage.runtime.engine, stage.runtime.catalog, first["id"])).same
        await say(stage, task_id, "bob")
        await CHANGES[field](stage, task_id, catalog, monkeypatch)
    # What is on disk is read anew.
    async with acting(settings, catalog) as stage:
        found = await diff(stage.runtime.engine, stage.runtime.catalog, first["id"])
        assert field in {one.field for one in found.changes}
        assert not found.same
        ended = await stage.run(task_id)
        if field == "action":
            # Another action, for which policy asks nobody: the answer to the first plays no part.
            assert ended is TaskStatus.DONE
            assert await subtask(stage, task_id) == ("done", "uncovered", None)
            assert await stage.rows("SELECT consumed FROM approvals WHERE task_id = :id", task_id) == [(False,)]
            return
        assert ended is TaskStatus.PARKED
        assert await stage.actions(task_id) == {}
        again = await open_one(stage, task_id)
        assert again["id"] != first["id"]
        with pytest.raises(AnswerRefused, match="was already answered"):
            await say(stage, first["id"], "eve")


TAMPERED = {
    "the option chosen": "UPDATE approvals SET option = 'covered' WHERE :here",
    "the digest": "UPDATE approvals SET digest = 'other' WHERE :here",
    "what was shown": "UPDATE approvals SET shown = jsonb_set(shown, '{reasons}', '[]') , digest = 'x' WHERE :here",
}


@pytest.mark.parametrize("change", TAMPERED)
async def test_an_answer_that_was_changed_in_the_records_does_not_stand(
    settings: Settings, tmp_path: Path, change: str
) -> None:
    async with acting(settings, write_asked(tmp_path, policies="", strategy=UNDECIDED)) as stage:
        task_id = await parked(stage)
        await say(stage, task_id, "bob", action="uncovered")
        await _sql(stage, task_id, TAMPERED[change])
        await stage.run(task_id)
        assert await stage.rows("SELECT action FROM records WHERE task_id = :id", task_id) == []


@pytest.mark.parametrize("field", ["policy_hash", "payload", "asks", "graph_version", "context_hash", "arguments"])
async def test_between_the_guard_and_the_action_it_is_looked_at_once_more(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    catalog = write_asked(tmp_path)
    async with acting(settings, catalog) as stage:
        task_id = await _approved(stage)
        with crash_at("execute:before"), pytest.raises(Crash):
            await stage.run(task_id)
        await CHANGES[field](stage, task_id, catalog, monkeypatch)
    async with acting(settings, catalog) as stage:
        assert await stage.run(task_id) is TaskStatus.FAILED
        assert await stage.actions(task_id) == {}
        assert await stage.rows("SELECT consumed FROM approvals WHERE task_id = :id", task_id) == [(False,)]


async def test_what_was_used_is_not_used_again(settings: Settings, tmp_path: Path) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await _approved(stage)
        [before] = await stage.rows("SELECT id FROM approvals WHERE task_id = :id", task_id)
        assert await stage.run(task_id) is TaskStatus.DONE
        assert await stage.rows("SELECT consumed FROM approvals WHERE task_id = :id", task_id) == [(True,)]
        with pytest.raises(AnswerRefused, match="was already answered: approved by bob"):
            await say(stage, before[0], "eve")
        # Another task of the same content is another request: the answer cannot be carried over.
        other = await parked(stage)
        assert (await open_one(stage, other))["id"] != before[0]


async def test_the_command_shows_the_difference(settings: Settings, tmp_path: Path) -> None:
    catalog = write_asked(tmp_path)
    async with acting(settings, catalog) as stage:
        task_id = await parked(stage)
        await _payload(stage, task_id, catalog, pytest.MonkeyPatch())
        found = await diff(stage.runtime.engine, catalog_of(settings.model_copy(update={"catalog": catalog})), task_id)
        assert [(one.field, one.shown["amount"], one.now["amount"]) for one in found.changes] == [
            ("payload", 4000, 9000)
        ]
        assert len(await inbox.open_approvals(stage.runtime.engine)) >= 1
