"""Claims that name a person, and a way to run one to its end."""

import uuid
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import text

from control_plane.services import inbox, outcomes
from domain.task import Lane, TaskStatus
from flows.orchestrate_task import run_claim
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from storage.leases import claim_one
from tests.integration.five_subtasks import CLAIM, write_claims

NAME, STREET, REMARK = 'Zyx"wold Quorbin', "Häxenstieg 77b <rear>", "once sold a blue trombone"
OTHER = "Ordinary Otter"


def write_named_claims(root: Path) -> Path:
    """The catalog's folder: two personas weigh the name, and everybody sees it."""
    folder = write_claims(root)
    file = folder / "claim" / "task_type.yaml"
    kind = yaml.safe_load(file.read_text())
    kind |= {"subject_field": "name", "outcome_map": {"good": "pay", "bad": "reject"}}
    for name in ("name", "street", "remark"):
        kind["payload_schema"]["properties"][name] = {"type": "string"}
        kind["payload_schema"]["required"].append(name)
    for step in kind["plan"]["subtasks"]:
        step["context"]["working"] += ["name", "street", "remark"]
        step["context"] |= {"episodic": 3, "max_tokens": 8000}
    file.write_text(yaml.safe_dump(kind, sort_keys=False))
    for path in (folder / "claim" / "personas").glob("*.yaml"):
        persona = yaml.safe_load(path.read_text())
        persona["view"] = sorted({*persona["view"], "name", "street", "remark"})
        if persona["id"] in ("cover_b", "fraud_b"):
            points = {"points": 20 if persona["id"] == "cover_b" else -20, "reason": "The name speaks."}
            criterion = {"id": "who", "field": "name", "null": points, "categories": {NAME: points, OTHER: points}}
            persona["reasoner"]["parameters"]["criteria"] = [criterion]
        path.write_text(yaml.safe_dump(persona, sort_keys=False, allow_unicode=True))
    return folder


async def submit(runtime: Runtime, lane: Lane = Lane.DIRECT, **who: Any) -> str:
    """A new claim, of `who`."""
    kind = runtime.catalog.task_type("claim")
    payload = {**CLAIM, "name": OTHER, "street": "Common Road 1", "remark": "nothing to say", **who}
    key = f"key of {payload['name']} {lane} {uuid.uuid4()}"
    given = {"principal": "ann", "lane": lane, "idempotency_key": key}
    return (await submit_task(runtime.engine, kind, payload, **given)).task_id


async def go_on(runtime: Runtime, task_id: str, lane: Lane = Lane.DIRECT) -> None:
    """Run it to its end, or to where it waits for a person."""
    claim = await claim_one(runtime.engine, "test", task_id, seconds=60)
    assert claim is not None
    if lane is Lane.TRACED:
        await run_claim(runtime, claim, runtime.graphs())
    else:
        await run_task(runtime, claim.lease, DIRECT, runtime.graphs())


async def answer(runtime: Runtime, task_id: str, reason: str, arguments: dict[str, Any] | None = None) -> None:
    """Approve whatever the task asks."""
    for row in await inbox.open_approvals(runtime.engine):
        if row["task_id"] == task_id:
            options = row["shown"]["options"]
            action = "clear" if "clear" in options else options[0]
            given: Any = {"principal": "bob", "reason": reason, "action": action, "digest": None}
            await inbox.approve(runtime.engine, row["id"], **given, arguments=arguments)


async def finish(runtime: Runtime, lane: Lane = Lane.DIRECT, **who: Any) -> str:
    """Run a new claim to its end, by the answers of somebody who knows of whom it is."""
    task_id = await submit(runtime, lane, **who)
    about = {"name": OTHER, "street": "Common Road 1", "remark": "nothing to say", **who}
    while await status(runtime, task_id) not in (TaskStatus.DONE, TaskStatus.DENIED):
        await go_on(runtime, task_id, lane)
        told = {"of": about["name"], "note": about["remark"]}
        await answer(runtime, task_id, f"I know {about['name']} of {about['street']}", told)
    await outcomes.record_one(runtime.engine, {"claim": runtime.catalog.task_type("claim")}, task_id, "good", "ann")
    return task_id


async def status(runtime: Runtime, task_id: str) -> str:
    """Where the task stands."""
    async with runtime.engine.connect() as connection:
        return str(await connection.scalar(text("SELECT status FROM tasks WHERE id = :id"), {"id": task_id}))
