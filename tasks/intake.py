"""Intake: the payload is checked against its schema and passes the input guards."""

from typing import Any

from catalog.payloads import check_payload
from domain.errors import PayloadError
from domain.guard import Effect
from storage.repositories.tasks import redact_payload
from storage.tables import verdicts
from tasks.context import StageContext
from tasks.passage import pass_gate
from tasks.policy import StagePolicy
from tasks.subjects import input_subject
from tasks.verdicts import verdict_row

POLICY = StagePolicy("intake", timeout_seconds=30)


async def intake(context: StageContext) -> dict[str, Any]:
    """Accept or deny the task at the door. Returns {denied: reason | None}."""
    task = context.task
    passage = await pass_gate(context.gate, task.payload, lambda payload: input_subject(context.task_type, payload))
    verdict, redacted = (
        passage.verdict,
        sorted(name for name, value in passage.value.items() if value != task.payload[name]),
    )
    # What was redacted has to fit the schema as well: nothing behind the door reads another payload.
    context.task = task.model_copy(update={"payload": passage.value})
    denied = _schema_problem(context)
    if denied is None and verdict.effect is not Effect.ALLOW:
        denied = "; ".join(verdict.reasons)
    async with context.work() as work:
        await work.add(verdicts, verdict_row(task.id, "intake", verdict))
        data: dict[str, Any] = {"denied": denied, "effect": verdict.effect.value}
        if redacted:
            await redact_payload(work.connection, task.id, passage.value)
            data["redacted"] = redacted
        await work.event("intake", "intake.denied" if denied else "intake.accepted", data)
    return {"denied": denied}


def _schema_problem(context: StageContext) -> str | None:
    try:
        check_payload(context.task_type, context.task.payload)
    except PayloadError as error:
        return str(error)
    return None
