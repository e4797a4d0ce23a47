"""Notices: written with what they tell of, sent apart from it, at least once, with nothing of the payload."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from control_plane.services import inbox
from deployments.postgres import PostgresServer
from domain.hosts import AllowedHost
from domain.settings import Settings
from domain.task import TaskStatus
from orchestration.notices import message, send_due, urls_of
from orchestration.recovery import recover
from storage.repositories.notices import Notice
from tasks.outbound import Outbound
from tests.conftest import fresh_database
from tests.fakes.hook import FakeHook, fake_hook
from tests.fakes.server import OUTBOUND_HOSTS
from tests.integration.acting import Acting, Crash, acting, crash_at
from tests.integration.approving import open_one, overridable, parked, say, write_asked
from tests.integration.five_subtasks import CLAIM

LOCAL = Outbound([AllowedHost.read(OUTBOUND_HOSTS)])
CHAIN = [{"role": "head", "after": "PT1H"}]


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    """A database for each test: whatever waits in it is sent."""
    return fresh_database(postgres)


@pytest.fixture
def hook() -> Iterator[FakeHook]:
    with fake_hook() as made:
        yield made


async def _send(stage: Acting, hook: FakeHook) -> int:
    return await send_due(stage.runtime.engine, LOCAL, {}, hook.url)


async def _rows(stage: Acting, task_id: str) -> list[tuple[Any, ...]]:
    sql = (
        "SELECT what, attempts, sent_at IS NOT NULL, failed_at IS NOT NULL, error FROM notices WHERE task_id = :id "
        "ORDER BY at, key"
    )
    return await stage.rows(sql, task_id)


async def _hurry(stage: Acting, task_id: str) -> None:
    await stage.execute("UPDATE notices SET due_at = now() WHERE task_id = :id", task_id)


async def test_opening_going_on_and_expiring_are_told(settings: Settings, tmp_path: Path, hook: FakeHook) -> None:
    async with acting(settings, write_asked(tmp_path, {"chain": CHAIN})) as stage:
        task_id = await parked(stage)
        assert await _send(stage, hook) == 1
        await stage.execute("UPDATE approvals SET next_at = now() WHERE task_id = :id", task_id)
        await recover(stage.runtime.engine)
        assert await _send(stage, hook) == 1
        await stage.execute("UPDATE approvals SET expires_at = now() WHERE task_id = :id", task_id)
        await recover(stage.runtime.engine)
        assert await stage.run(task_id) is TaskStatus.DENIED
        assert await _send(stage, hook) == 1
        assert await _send(stage, hook) == 0
        assert hook.texts == [
            "claim: only waits for approver",
            "claim: only has gone on to head",
            "claim: only was not answered in time by head",
        ]
        [(approval_id,)] = await stage.rows("SELECT id FROM approvals WHERE task_id = :id", task_id)
        assert hook.keys == [f"approval:{approval_id}:{one}" for one in ("opened", "escalated:1", "expired")]
        assert [row[2:4] for row in await _rows(stage, task_id)] == [(True, False)] * 3


async def test_nothing_of_the_payload_goes_out(settings: Settings, tmp_path: Path, hook: FakeHook) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        await _send(stage, hook)
        asked = await open_one(stage, task_id)
        sent = str(hook.bodies[0])
        for part in (task_id, asked["id"], "What of the coverage?", "ASK-001", "approver", "parley approve"):
            assert part in sent
        for part in (*CLAIM, "4000", asked["digest"], *map(str, asked["shown"]["reasons"]), hook.url):
            assert part not in sent
        assert set(hook.bodies[0]) == {"text", "blocks"}


@pytest.mark.parametrize("trouble", ["500", "429", "drop", "away"])
async def test_what_fails_is_tried_again_under_the_same_key(
    settings: Settings, tmp_path: Path, hook: FakeHook, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "orchestration")
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        url = hook.url
        if trouble == "drop":
            hook.drop = 2
        elif trouble == "away":
            hook.url = "http://127.0.0.1:9/services/token-that-is-secret"
        else:
            hook.codes = [int(trouble)] * 2
        for attempt in (1, 2):
            assert await _send(stage, hook) == 1
            [(what, attempts, sent, failed, error)] = await _rows(stage, task_id)
            assert (what, attempts, sent, failed) == ("opened", attempt, False, False)
            assert (error == f"it answered {trouble}") == trouble.isdecimal()
            # Not at once.
            assert await _send(stage, hook) == 0
            await _hurry(stage, task_id)
        hook.url = url
        assert await _send(stage, hook) == 1
        assert await _rows(stage, task_id) == [("opened", 3, True, False, None)]
        assert len(set(hook.keys)) == 1
        # Nor was anything held up by it.
        await say(stage, task_id, "bob")
        assert await stage.run(task_id) is TaskStatus.DONE
        assert caplog.records
        assert "token-that-is-secret" not in caplog.text


@pytest.mark.parametrize("code", [400, 403, 404, 410])
async def test_a_refusal_is_recorded_and_not_tried_again(
    settings: Settings, tmp_path: Path, hook: FakeHook, code: int
) -> None:
    hook.codes = [code]
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        await _send(stage, hook)
        assert await _rows(stage, task_id) == [("opened", 1, False, True, f"it answered {code}")]
        await _hurry(stage, task_id)
        assert await _send(stage, hook) == 0
        assert (await open_one(stage, task_id))["asked"]["not_sent"] == f"it answered {code}"


async def test_no_redirect_is_followed(settings: Settings, tmp_path: Path, hook: FakeHook) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        with fake_hook() as elsewhere:
            hook.codes, hook.location = [307], elsewhere.url
            task_id = await parked(stage)
            await _send(stage, hook)
            assert elsewhere.keys == []
        assert await _rows(stage, task_id) == [
            ("opened", 1, False, True, "it answered 307: redirects are not followed")
        ]


async def test_a_host_that_is_not_allowed_is_not_called_and_the_notice_says_so(
    settings: Settings, tmp_path: Path, hook: FakeHook
) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        assert await send_due(stage.runtime.engine, Outbound([]), {}, hook.url) == 1
        host = hook.url.split("/")[2]
        why = f"{host} is not a host that may be called: name it in PARLEY_OUTBOUND_HOSTS"
        assert await _rows(stage, task_id) == [("opened", 1, False, True, why)]
        assert (await open_one(stage, task_id))["asked"]["not_sent"] == why
        await _hurry(stage, task_id)
        assert await _send(stage, hook) == 0
        assert hook.keys == []


async def test_a_hook_that_hangs_is_left(
    settings: Settings, tmp_path: Path, hook: FakeHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.notices.SEND_SECONDS", 0.3)
    hook.hang = 1
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        sending = asyncio.create_task(_send(stage, hook))
        while not hook.keys:
            await asyncio.sleep(0.01)
        # The task goes on meanwhile.
        await say(stage, task_id, "bob")
        assert await stage.run(task_id) is TaskStatus.DONE
        await sending
        [(_, _, sent, failed, error)] = await _rows(stage, task_id)
        assert (sent, failed) == (False, False)
        assert "Timeout" in error


async def test_several_senders_send_each_once(settings: Settings, tmp_path: Path, hook: FakeHook) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        for _ in range(12):
            await parked(stage)
        while sum(await asyncio.gather(*(_send(stage, hook) for _ in range(4)))):
            pass
        assert Counter(hook.keys).most_common(1)[0][1] == 1
        assert len(hook.keys) == 12


async def test_what_was_answered_before_it_could_be_sent_is_not_sent(
    settings: Settings, tmp_path: Path, hook: FakeHook
) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        await say(stage, task_id, "bob")
        old = await parked(stage)
        await stage.execute("UPDATE notices SET at = now() - interval '25 hours' WHERE task_id = :id", old)
        assert await _send(stage, hook) == 2
        assert hook.keys == []
        assert (await _rows(stage, task_id))[0][3:] == (
            *(True, "it was answered, or its task has ended, before it could be sent"),
        )
        assert (await _rows(stage, old))[0][3:] == (True, "it is too old to be sent")


async def test_the_notice_stands_or_falls_with_what_it_tells_of(
    settings: Settings, tmp_path: Path, hook: FakeHook
) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await stage.submit()
        with crash_at("approve:inside"), pytest.raises(Crash):
            await stage.run(task_id)
        assert await _rows(stage, task_id) == []
        with crash_at("approve:after"), pytest.raises(Crash):
            await stage.run(task_id)
        assert await _send(stage, hook) == 1
        assert await stage.run(task_id) is TaskStatus.PARKED
        assert await _send(stage, hook) == 0
        assert len(hook.keys) == 1


async def test_a_task_type_may_have_a_url_of_its_own(settings: Settings, tmp_path: Path, hook: FakeHook) -> None:
    catalog = write_asked(tmp_path, {"notify": hook.url})
    async with acting(settings, catalog) as stage:
        await parked(stage)
        urls = urls_of(stage.runtime.catalog)
        assert urls == {"claim": hook.url}
        assert await send_due(stage.runtime.engine, LOCAL, {}, None) == 0
        assert await send_due(stage.runtime.engine, LOCAL, urls, "http://127.0.0.1:9/elsewhere") == 1
        assert len(hook.keys) == 1


async def test_how_to_answer_is_said(settings: Settings, tmp_path: Path, hook: FakeHook) -> None:
    denied = overridable("DENY-1", 'context.action == "covered"')
    async with acting(settings, write_asked(tmp_path, policies=denied)) as stage:
        task_id = await parked(stage)
        await _send(stage, hook)
        approval = (await open_one(stage, task_id))["id"]
        assert f"`parley override {approval} --reason TEXT`" in str(hook.bodies[0])
        assert hook.texts == ["claim: only waits for operator"]
        assert (await inbox.open_approvals(stage.runtime.engine))[0]["asked"]["not_sent"] is None


async def test_a_dry_run_says_that_nothing_comes_of_the_answer(
    settings: Settings, tmp_path: Path, hook: FakeHook
) -> None:
    async with acting(settings, write_asked(tmp_path)) as stage:
        task_id = await parked(stage)
        await stage.execute("UPDATE tasks SET dry_run = true WHERE id = :id", task_id)
        await _send(stage, hook)
        assert hook.texts == ["claim, a dry run: only waits for approver"]
        assert "*Dry run:* nothing is done, whatever the answer" in str(hook.bodies[0])
        assert [row["dry_run"] for row in await inbox.open_approvals(stage.runtime.engine)] == [True]
        # The chain knows better.
        await stage.execute("UPDATE tasks SET dry_run = false WHERE id = :id", task_id)


def _notice(**given: Any) -> Notice:
    usual: dict[str, Any] = {
        **{"key": "k", "task_id": "t", "approval_id": "a", "what": "opened", "role": "approver", "attempts": 1},
        **{"task_type": "claim", "subtask_id": "pay", "cause": "FIN-001", "question": "Pay?"},
        **{"expires_at": "2026-01-31T12:00:00+00:00", "overriding": False, "dry_run": False},
        **{"matters": True, "stale": False},
    }
    return Notice.model_validate({**usual, **given})


def test_nothing_in_it_is_a_mention_or_a_link_to_slack() -> None:
    evil = "<!channel> & <https://evil.example|click> <@U1>\n*x*" + "y" * 5000
    sent = message(_notice(question=evil, cause=evil, role=evil))
    for block in sent["blocks"]:
        assert len(block["text"]["text"]) < 3000
    whole = str(sent)
    assert "<" not in whole
    assert ">" not in whole
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;" in whole


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "javascript:alert(1)", "hooks.example.com", ""])
def test_only_http_is_taken(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(notify_url=url)
