"""Intake: the payload is checked against its schema and passes the input guards."""

from typing import Any

from catalog.payloads import check_payload
from domain.errors import PayloadError
from domain.guard import Effect
from storage.tables import verdicts
from tasks.context import StageContext
from tasks.policy import StagePolicy
from tasks.subjects import input_subject
from tasks.verdicts import verdict_row

POLICY = StagePolicy("intake", timeout_seconds=30)


async def intake(context: StageContext) -> dict[str, Any]:
    """Accept or deny the task at the door. Returns {denied: reason | None}."""
    task = context.task
    denied = _schema_problem(context)
    verdict = context.gate.judge(input_subject(context.task_type, task.payload))
    if denied is None and verdict.effect is not Effect.ALLOW:
        denied = "; ".join(verdict.reasons)
    async with context.work() as work:
        await work.add(verdicts, verdict_row(task.id, "intake", verdict))
        data = {"denied": denied, "effect": verdict.effect.value}
        await work.event("intake", "intake.denied" if denied else "intake.accepted", data)
    return {"denied": denied}


def _schema_problem(context: StageContext) -> str | None:
    try:
        check_payload(context.task_type, context.task.payload)
    except PayloadError as error:
        return str(error)
    return None
