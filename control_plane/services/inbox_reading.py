"""Requests as they stand: who is asked now, and what was answered so far."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import ApprovalStatus
from domain.asking import UNASSIGNED, Asks, Voice
from domain.errors import InputError, NotFound
from storage.repositories import inbox, listing
from storage.repositories.listing import Row
from storage.repositories.roles import holders

_ANSWER = ("principal", "role", "answer", "option", "arguments", "reason", "at")


async def find_approval(connection: AsyncConnection, given_id: str) -> Row:
    """The approval of that id, or the only open one of the task of that id. Raises NotFound, InputError."""
    found = await inbox.approval(connection, given_id)
    if found is not None:
        return found
    if await listing.task(connection, given_id) is None:
        raise NotFound(f"there is no approval or task {given_id}: list them with `parley approvals`")
    of_task = await inbox.approvals_of(connection, given_id)
    waiting = [row for row in of_task if row["status"] == ApprovalStatus.OPEN]
    if len(waiting) > 1:
        ids = ", ".join(row["id"] for row in waiting)
        raise InputError(f"task {given_id} has {len(waiting)} open approvals: name one of {ids}")
    if not of_task:
        raise NotFound(f"task {given_id} has no approval: list the open ones with `parley approvals`")
    # With none open, the newest one's refusal says what became of it.
    return (waiting or list(of_task))[0]


async def standing(connection: AsyncConnection, found: Sequence[Row]) -> list[Row]:
    """The rows, each with `asked`: the role, its place in the chain, the answers so far, what could not be sent."""
    ids = [row["id"] for row in found]
    answers: dict[str, list[Row]] = defaultdict(list)
    for one in await inbox.answers_to(connection, ids):
        answers[one["approval_id"]].append(one)
    failed = {one["approval_id"]: one["error"] for one in await inbox.notices_of(connection, ids) if one["error"]}
    holding = await holders(connection) if found else {}
    return [{**row, "asked": _asked(row, answers[row["id"]], holding, failed.get(row["id"]))} for row in found]


def _asked(row: Row, answers: Sequence[Row], holding: dict[str, list[str]], failed: str | None) -> dict[str, Any]:
    asks = Asks.model_validate(row["shown"].get("asks") or {"role": row["role"]})
    role = asks.role_at(row["step"])
    held = holding.get(role, [])
    return {
        "role": role,
        "held_by": held,
        "note": None if held else UNASSIGNED,
        "strict": asks.strict,
        "step": row["step"],
        "roles": list(asks.roles),
        "next_at": row["next_at"],
        "quorum": asks.quorum,
        "of": asks.of,
        "approved": sum(one["answer"] == Voice.APPROVED for one in answers),
        "refused": sum(one["answer"] == Voice.REFUSED for one in answers),
        "overrides": list(asks.overrides),
        "answers": [{name: one[name] for name in _ANSWER} for one in answers],
        "not_sent": failed,
    }
