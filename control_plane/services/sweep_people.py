"""The people who answer in a sweep: as many as a request asks, each in the role that it asks."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.services import inbox, roles
from domain.errors import AnswerRefused
from domain.task_type import TaskType
from guardrails.gate import load_gate

ANSWERER = "sweep-person"
_WHY = "a sweep answers so"


async def appoint(engine: AsyncEngine, task_type: TaskType) -> None:
    """Give out the roles without which nobody could answer; before any task, so that every task finds the same."""
    asks = task_type.asks
    policies = load_gate(task_type).policies.by_id.values()
    needed = {policy.override for policy in policies if policy.override} | {*(asks.roles if asks.strict else ())}
    for role in sorted(needed):
        for number in range(asks.of):
            await roles.grant(engine, {role}, _person(number), role, by=ANSWERER, reason=_WHY)


def _person(number: int) -> str:
    return f"{ANSWERER}-{number + 1}"


async def answer(engine: AsyncEngine, row: Any) -> None:
    """One more answer to the request, the same as those before it."""
    asked, choosing = row["asked"], row["cause"] in inbox.CHOOSING
    action = str(row["shown"]["options"][0]) if choosing else None
    word = "override" if asked["overrides"] else "approve"
    said = inbox.Said(_person(len(asked["answers"])), _WHY, action, digest=row["digest"])
    try:
        await inbox.respond(engine, row["id"], word, said)
    except AnswerRefused:
        # Its task went on or ended meanwhile: what is open is looked up again.
        return
