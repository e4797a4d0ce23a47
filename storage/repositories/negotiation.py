"""Rows of a negotiation: snapshots, proposals, telemetry and the decision."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import unmarked
from domain.decision import Decision
from domain.model import Frozen
from domain.proposal import Proposal
from storage.tables import decisions, events, proposals, snapshots

AGAIN = "negotiate.again"
"""The event of a round that another one follows."""


class StoredProposal(Frozen):
    """A proposal, and why it does not count, if so."""

    proposal: Proposal
    struck: str | None


async def load_rounds(connection: AsyncConnection, task_id: str, subtask_id: str) -> list[list[StoredProposal]]:
    """Every stored round in order, each ordered by persona."""
    statement = (
        select(proposals.c.round, proposals.c.struck, proposals.c.body)
        .where(proposals.c.task_id == task_id, proposals.c.subtask_id == subtask_id)
        .order_by(proposals.c.round, proposals.c.persona)
    )
    rounds: list[list[StoredProposal]] = []
    for row in await connection.execute(statement):
        while len(rounds) <= row.round:
            rounds.append([])
        rounds[row.round].append(
            StoredProposal(proposal=Proposal.model_validate(unmarked(row.body)), struck=row.struck)
        )
    return rounds


def counted(rounds: Sequence[Sequence[StoredProposal]]) -> list[list[Proposal]]:
    """The proposals that the guards let stand."""
    return [[stored.proposal for stored in one if stored.struck is None] for one in rounds]


async def load_decision(connection: AsyncConnection, task_id: str, subtask_id: str) -> Decision:
    """The subtask's decision."""
    return Decision.model_validate(unmarked((await connection.execute(_decision(task_id, subtask_id))).scalar_one()))


class Ended(Frozen):
    """What an earlier run recorded of a round."""

    again: bool
    """Whether another round follows it."""
    decision: Decision | None
    """The subtask's decision, if there is one."""


async def find_end(connection: AsyncConnection, task_id: str, subtask_id: str, round: int) -> Ended:
    """How the round went, if that stands already."""
    went_on = (
        select(events.c.seq)
        .where(events.c.task_id == task_id, events.c.key == round_key(subtask_id, round), events.c.event == AGAIN)
        .exists()
    )
    body = _decision(task_id, subtask_id).scalar_subquery()
    row = (await connection.execute(select(went_on.label("again"), body.label("body")))).one()
    return Ended(again=row.again, decision=None if row.body is None else Decision.model_validate(unmarked(row.body)))


def round_key(subtask_id: str, round: int) -> str:
    """The key of the event that a round ends with."""
    return f"negotiate:{subtask_id}:{round}"


def _decision(task_id: str, subtask_id: str) -> Select[tuple[Any]]:
    return select(decisions.c.body).where(decisions.c.task_id == task_id, decisions.c.subtask_id == subtask_id)


def decision_row(decision: Decision) -> dict[str, Any]:
    """The `decisions` row."""
    return {
        "task_id": decision.task_id,
        "subtask_id": decision.subtask_id,
        "kind": decision.result.kind.value,
        "option": decision.option.name if decision.option else None,
        "action": decision.option.action if decision.option else None,
        "strategy": decision.result.rule,
        "margin": decision.result.margin,
        "rounds": decision.rounds,
        "body": decision.model_dump(mode="json"),
    }


class Seen(Frozen):
    """What a round's panel saw."""

    hash: str
    degraded: str | None


async def load_seen(connection: AsyncConnection, task_id: str, subtask_id: str, round: int) -> Seen:
    """The round's snapshot."""
    here = (snapshots.c.task_id == task_id, snapshots.c.subtask_id == subtask_id, snapshots.c.round == round)
    row = (await connection.execute(select(snapshots.c.hash, snapshots.c.degraded).where(*here))).one()
    return Seen(hash=row.hash, degraded=row.degraded)


_OVERDUE = text(
    "SELECT COALESCE(now() > first.at + CAST(:limit AS interval), false) "
    "OR COALESCE(now() > CAST(step ->> 'deadline_at' AS timestamptz) + make_interval(secs => t.parked_seconds), false) "
    "FROM tasks t CROSS JOIN LATERAL jsonb_array_elements(t.plan -> 'subtasks') step "
    "LEFT JOIN events first ON first.task_id = t.id AND first.key = 'negotiate:' || CAST(:subtask AS text) || '\\:0' "
    "WHERE t.id = :task AND step ->> 'id' = CAST(:subtask AS text)"
)


async def is_overdue(connection: AsyncConnection, task_id: str, subtask_id: str, limit: timedelta | None) -> bool:
    """Whether the subtask's deadline has passed, or `limit` since its first round; database time."""
    found = await connection.scalar(_OVERDUE, {"task": task_id, "subtask": subtask_id, "limit": limit})
    return bool(found)
