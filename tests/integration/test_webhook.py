"""The webhook executor against a server that misbehaves."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
from tests.integration.five_subtasks import CLAIM, write_claims


class Target(ThreadingHTTPServer):
    """Answers with the given status codes in turn, the last one again and again, and does an effect once for a key."""

    def __init__(self, codes: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.codes = codes
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.effects: dict[str, dict[str, Any]] = {}


class Handler(BaseHTTPRequestHandler):
    server: Target

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        code = self.server.codes.pop(0) if len(self.server.codes) > 1 else self.server.codes[0]
        self.server.seen.append((key, body))
        if code < 500:
            self.server.effects.setdefault(key, body)
        answer = json.dumps({"receipt": len(self.server.effects)}).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def _target(codes: list[int]) -> Iterator[Target]:
    server = Target(codes)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
        catalog = _catalog(tmp_path, f"http://127.0.0.1:{target.server_port}/act", attempts=3)
        task_id, status, action = await _decide(settings, catalog)
    assert status is TaskStatus.DONE
    assert (action["status"], action["attempts"]) == ("done", 3)
    assert action["response"] == {"status": "200", "body": {"receipt": 1}}
    body = {"task": task_id, "subtask": "coverage", "action": "covered", "arguments": {}}
    assert target.seen == [(f"{task_id}/coverage", body)] * 3
    assert len(target.effects) == 1


async def test_a_refusal_ends_it_at_once_with_its_reason(settings: Settings, tmp_path: Path) -> None:
    with _target([400]) as target:
        catalog = _catalog(tmp_path, f"http://127.0.0.1:{target.server_port}/act", attempts=3)
        _, status, action = await _decide(settings, catalog)
    assert status is TaskStatus.FAILED
    assert (action["status"], action["attempts"], len(target.seen)) == ("failed", 1, 1)
    assert "refused with 400" in action["error"]
    assert "refused with 400" in action["reason"]


@pytest.mark.parametrize("code", [500, 429, 302])
async def test_attempts_are_limited(settings: Settings, tmp_path: Path, code: int) -> None:
    with _target([code]) as target:
        catalog = _catalog(tmp_path, f"http://127.0.0.1:{target.server_port}/act", attempts=2)
        _, status, action = await _decide(settings, catalog)
    assert status is TaskStatus.FAILED
    assert (action["status"], action["attempts"], len(target.seen)) == ("failed", 2, 2)
    assert f"answered {code}" in action["reason"]


async def test_a_target_that_is_away_fails_the_task(settings: Settings, tmp_path: Path) -> None:
    with _target([200]) as target:
        url = f"http://127.0.0.1:{target.server_port}/act"
    _, status, action = await _decide(settings, _catalog(tmp_path, url, attempts=2))
    assert status is TaskStatus.FAILED
    assert (action["status"], action["attempts"]) == ("failed", 2)
    assert "ConnectError" in action["error"]


async def test_an_answer_that_policy_refuses_is_withheld(settings: Settings, tmp_path: Path) -> None:
    with _target([200]) as target:
        catalog = _catalog(tmp_path, f"http://127.0.0.1:{target.server_port}/act", attempts=2)
        with (catalog / "claim" / "policies.cedar").open("a") as policies:
            policies.write(
                '@id("NO-ANSWER") @effect("deny") @reason("not for the records") @owner("claims")\n'
                'forbid (principal, action == Action::"response", resource);'
            )
        _, status, action = await _decide(settings, catalog)
    assert status is TaskStatus.DONE
    assert action["response"]["withheld"] == ["NO-ANSWER"]
    assert "receipt" not in str(action["response"])
