"""The webhook executor against a server that misbehaves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from domain.settings import Settings
from domain.task import Lane, TaskStatus
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from storage.leases import claim_one
from tests.fakes.server import FakeHandler, serving
from tests.integration.five_subtasks import CLAIM, write_claims


class Target:
    """Answers with the given status codes in turn, the last one again and again, and does an effect once for a key."""

    def __init__(self, codes: list[int]) -> None:
        self.codes = codes
        self.url = ""
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.effects: dict[str, dict[str, Any]] = {}


@contextmanager
def _target(codes: list[int]) -> Iterator[Target]:
    target = Target(codes)

    class Handler(FakeHandler):
        def do_POST(self) -> None:
            body, key = self.body(), self.headers["Idempotency-Key"]
            code = target.codes.pop(0) if len(target.codes) > 1 else target.codes[0]
            target.seen.append((key, body))
            if code < 500:
                target.effects.setdefault(key, body)
            self.answer(code, {"receipt": len(target.effects)})

    with serving(Handler, threading.Event()) as url:
        target.url = f"{url}/act"
        yield target


def _catalog(root: Path, url: str, attempts: int) -> Path:
    """The claims pilot with one subtask, carried out by a webhook."""
    catalog = write_claims(root)
    file = catalog / "claim" / "task_type.yaml"
    value = yaml.safe_load(file.read_text())
    coverage = value["plan"]["subtasks"][0]
    coverage |= {"executor": "webhook", "executor_parameters": {"url": url, "timeout_seconds": 5}}
    coverage["retry"] = {"attempts": attempts, "backoff": "fixed"}
    value["plan"]["subtasks"], value["answer"] = [coverage], "coverage"
    file.write_text(yaml.safe_dump(value))
    return catalog


async def _decide(settings: Settings, catalog: Path) -> tuple[str, TaskStatus, dict[str, Any]]:
    async with open_runtime(settings.model_copy(update={"catalog": catalog})) as runtime:
        kind = runtime.catalog.task_type("claim")
        task_id = (await submit_task(runtime.engine, kind, CLAIM, principal="ann", lane=Lane.DIRECT)).task_id
        claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
        assert claim is not None
        status = await run_task(runtime, claim.lease, DIRECT, runtime.graphs())
        return task_id, status, await _action(runtime, task_id)


async def _action(runtime: Runtime, task_id: str) -> dict[str, Any]:
    sql = "SELECT a.*, t.reason FROM actions a JOIN tasks t ON t.id = a.task_id WHERE t.id = :id"
    async with runtime.engine.connect() as connection:
        return dict((await connection.execute(text(sql), {"id": task_id})).mappings().one())


async def test_failures_that_pass_are_tried_again_under_one_key(settings: Settings, tmp_path: Path) -> None:
    with _target([500, 503, 200]) as target:
        catalog = _catalog(tmp_path, target.url, attempts=3)
        task_id, status, action = await _decide(settings, catalog)
    assert status is TaskStatus.DONE
    assert (action["status"], action["attempts"]) == ("done", 3)
    assert action["response"] == {"status": "200", "body": {"receipt": 1}}
    body = {"task": task_id, "subtask": "coverage", "action": "covered", "arguments": {}}
    assert target.seen == [(f"{task_id}/coverage", body)] * 3
    assert len(target.effects) == 1


async def test_a_refusal_ends_it_at_once_with_its_reason(settings: Settings, tmp_path: Path) -> None:
    with _target([400]) as target:
        catalog = _catalog(tmp_path, target.url, attempts=3)
        _, status, action = await _decide(settings, catalog)
    assert status is TaskStatus.FAILED
    assert (action["status"], action["attempts"], len(target.seen)) == ("failed", 1, 1)
    assert "refused with 400" in action["error"]
    assert "refused with 400" in action["reason"]


async def test_attempts_are_limited(settings: Settings, tmp_path: Path) -> None:
    with _target([429]) as target:
        catalog = _catalog(tmp_path, target.url, attempts=2)
        _, status, action = await _decide(settings, catalog)
    assert status is TaskStatus.FAILED
    assert (action["status"], action["attempts"], len(target.seen)) == ("failed", 2, 2)
    assert "answered 429" in action["reason"]


@pytest.mark.parametrize("code", [500, 504, 408, 302])
async def test_a_failure_that_may_stand_behind_the_effect_is_a_persons_to_tell(
    settings: Settings, tmp_path: Path, code: int
) -> None:
    with _target([code]) as target:
        catalog = _catalog(tmp_path, target.url, attempts=2)
        _, status, action = await _decide(settings, catalog)
    assert status is TaskStatus.PARKED
    assert (action["status"], action["attempts"], len(target.seen)) == ("unknown", 2, 2)
    assert f"answered {code}" in action["error"]


async def test_a_target_that_is_away_fails_the_task(settings: Settings, tmp_path: Path) -> None:
    with _target([200]) as target:
        url = target.url
    _, status, action = await _decide(settings, _catalog(tmp_path, url, attempts=2))
    assert status is TaskStatus.FAILED
    assert (action["status"], action["attempts"]) == ("failed", 2)
    assert "ConnectError" in action["error"]


async def test_a_host_that_is_not_allowed_ends_it_at_once_and_nothing_is_sent(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with _target([200]) as target:
        nobody = settings.model_copy(update={"outbound_hosts": ()})
        _, status, action = await _decide(nobody, _catalog(tmp_path, target.url, attempts=3))
    assert status is TaskStatus.FAILED
    assert (action["status"], action["attempts"], target.seen) == ("failed", 1, [])
    host = target.url.removeprefix("http://").removesuffix("/act")
    why = f"OutboundRefused: {host} is not a host that may be called: name it in PARLEY_OUTBOUND_HOSTS"
    assert (action["error"], why in action["reason"]) == (why, True)
    assert f"{host}, called by claim.coverage, is not named in PARLEY_OUTBOUND_HOSTS" in caplog.text
    async with open_runtime(settings) as runtime, runtime.engine.connect() as connection:
        sql = text("SELECT count(*) FROM breakers WHERE executor = :target")
        assert await connection.scalar(sql, {"target": f"webhook {host}"}) == 0


async def test_an_answer_that_policy_refuses_is_withheld(settings: Settings, tmp_path: Path) -> None:
    with _target([200]) as target:
        catalog = _catalog(tmp_path, target.url, attempts=2)
        with (catalog / "claim" / "policies.cedar").open("a") as policies:
            policies.write(
                '@id("NO-ANSWER") @effect("deny") @reason("not for the records") @owner("claims")\n'
                'forbid (principal, action == Action::"response", resource);'
            )
        _, status, action = await _decide(settings, catalog)
    assert status is TaskStatus.DONE
    assert action["response"]["withheld"] == ["NO-ANSWER"]
    assert "receipt" not in str(action["response"])
