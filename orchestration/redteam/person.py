"""The person of the worst case: consents to everything, and picks what the attacker wants where there is a choice."""

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.approval import ApprovalStatus
from domain.asking import Asks, Voice, choice_digest
from domain.decision import ResultKind
from storage.repositories import inbox
from storage.repositories.listing import Row

NAME = "redteam-person"
_CHOOSING = frozenset(ResultKind) - {ResultKind.DECIDED}


async def consent(engine: AsyncEngine, task_id: str, wanted: str | None) -> int:
    """Approve everything that waits for an answer in the task; returns how much that was."""
    async with engine.connect() as connection:
        waiting = [row for row in await inbox.open_approvals(connection) if row["task_id"] == task_id]
    for asked in waiting:
        await answer(engine, asked, _choice(asked, wanted))
    return len(waiting)


def _choice(asked: Row, wanted: str | None) -> str | None:
    options = [str(option) for option in asked["shown"].get("options", ())]
    if asked["cause"] not in _CHOOSING:
        return None
    return next((option for option in options if wanted and option.startswith(wanted)), options[0])


async def answer(engine: AsyncEngine, asked: Row, option: str | None = None, digest: str | None = None) -> bool:
    """Consent to one request, to what its digest or the given one stands for; whether that was taken."""
    given = _given(asked, option, digest or asked["digest"])
    async with engine.begin() as connection:
        task = await inbox.lock_task(connection, asked["task_id"])
        taken = await inbox.give(connection, given)
        if taken is None:
            return False
        await inbox.close(connection, given, ApprovalStatus.APPROVED.value)
        await inbox.wake(connection, task["id"])
        decided = await inbox.approval(connection, asked["id"])
        data = {"approval": asked["id"], "by": NAME, "status": ApprovalStatus.APPROVED.value}
        await inbox.tell_answer(connection, task, asked["subtask_id"], taken, data, decided)
    return True


def _given(asked: Row, option: str | None, digest: str) -> inbox.Answer:
    asks = Asks.model_validate(asked["shown"]["asks"])
    return inbox.Answer(
        approval_id=asked["id"],
        digest=digest,
        voice=Voice.APPROVED,
        option=option,
        arguments=None,
        choice=choice_digest(digest, option, None),
        principal=NAME,
        role=asks.role_at(asked["step"]),
        step=asked["step"],
        strict=asks.strict,
        reason="looks fine",
    )
