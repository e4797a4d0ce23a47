"""Recorded decisions with the rounds behind them, read in bulk to be decided once more."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.proposal import Proposal
from storage.tables import decisions, outcomes, proposals, tasks

CHUNK = 1_000


@dataclass(frozen=True)
class DecisionFilter:
    """Which decisions of a subtask are wanted; None means any. Times are those at which the tasks were made."""

    task_type: str
    subtask_id: str
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    batch_ids: Sequence[str] | None = None


@dataclass(frozen=True)
class RecordedDecision:
    """One decision as it stands in its tables."""

    task_id: str
    case_key: str | None
    decided_at: datetime
    option: str | None
    """None where a person was asked."""
    action: str | None
    result: Mapping[str, Any]
    strategy: Mapping[str, Any]
    options: Sequence[Mapping[str, Any]]
    eligible: Sequence[str]
    step: str
    """Why the negotiation ended there."""
    stake: Any
    """The payload's field, as it was submitted."""
    right_action: str | None
    """None where no outcome is recorded."""
    rounds: Sequence[Sequence[Proposal]]
    """Proposals that the guards let stand, by round; a round without any is an empty one."""
    overdue: bool | None = None
    """Whether the deadline had passed; None where the record does not say."""
    withdrawn: str | None = None
    """Why no certificate of the calibration that it names stood then; None where they did."""


async def recorded_decisions(
    connection: AsyncConnection, wanted: DecisionFilter, stake_field: str | None, chunk: int = CHUNK
) -> AsyncIterator[list[RecordedDecision]]:
    """The decisions, oldest task first, a chunk at a time."""
    after: tuple[datetime, str] | None = None
    while True:
        query = _page(wanted, stake_field, after).limit(chunk)
        rows = list(await connection.execute(query))
        if not rows:
            return
        held = await _proposals(connection, [row.id for row in rows], wanted.subtask_id)
        yield [_decision(row, held.get(row.id, [])) for row in rows]
        if len(rows) < chunk:
            return
        after = (rows[-1].created_at, rows[-1].id)


def _page(wanted: DecisionFilter, stake_field: str | None, after: tuple[datetime, str] | None) -> Select[Any]:
    # The explanation repeats every rationale: only the parts that are needed leave the database.
    explanation = decisions.c.body["explanation"]
    stake = tasks.c.payload[stake_field or ""].label("stake")
    query = (
        select(
            tasks.c.id,
            tasks.c.case_key,
            tasks.c.created_at,
            decisions.c.at.label("decided_at"),
            decisions.c.option,
            decisions.c.action,
            decisions.c.rounds,
            decisions.c.body["result"].label("result"),
            explanation["strategy"].label("strategy"),
            explanation["options"].label("options"),
            explanation["eligible"].label("eligible"),
            explanation["step"].astext.label("step"),
            explanation["overdue"].label("overdue"),
            explanation["terms"]["learned"]["withdrawn"].astext.label("withdrawn"),
            stake,
            outcomes.c.right_action,
        )
        .join(decisions, and_(decisions.c.task_id == tasks.c.id, decisions.c.subtask_id == wanted.subtask_id))
        .outerjoin(outcomes, outcomes.c.task_id == tasks.c.id)
        # A fork goes through its source's case once more.
        .where(tasks.c.task_type == wanted.task_type, tasks.c.forked_from.is_(None))
        .order_by(tasks.c.created_at, tasks.c.id)
    )
    if wanted.since is not None:
        query = query.where(tasks.c.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(tasks.c.created_at < wanted.until)
    if wanted.batch_ids is not None:
        query = query.where(tasks.c.batch_id.in_(wanted.batch_ids))
    if after is not None:
        at, task_id = after
        later = or_(tasks.c.created_at > at, and_(tasks.c.created_at == at, tasks.c.id > task_id))
        query = query.where(tasks.c.created_at >= at, later)
    return query


async def _proposals(
    connection: AsyncConnection, task_ids: Sequence[str], subtask_id: str
) -> dict[str, list[list[Proposal]]]:
    query = (
        select(proposals.c.task_id, proposals.c.round, proposals.c.struck, proposals.c.body.op("-")("erased"))
        .where(proposals.c.task_id.in_(task_ids), proposals.c.subtask_id == subtask_id)
        .order_by(proposals.c.task_id, proposals.c.round, proposals.c.persona)
    )
    found: dict[str, list[list[Proposal]]] = {}
    for task_id, round, struck, body in await connection.execute(query):
        rounds = found.setdefault(task_id, [])
        while len(rounds) <= round:
            rounds.append([])
        if struck is None:
            rounds[round].append(Proposal.model_validate(body))
    return found


def _decision(row: Any, rounds: list[list[Proposal]]) -> RecordedDecision:
    # A round in which everybody was absent left no row; one behind the decision was never decided on.
    held = rounds[: row.rounds] + [[] for _ in range(row.rounds - len(rounds))]
    return RecordedDecision(
        task_id=row.id,
        case_key=row.case_key,
        decided_at=row.decided_at,
        option=row.option,
        action=row.action,
        result=row.result,
        strategy=row.strategy,
        options=row.options,
        eligible=row.eligible,
        step=row.step,
        stake=row.stake,
        right_action=row.right_action,
        rounds=held,
        overdue=row.overdue,
        withdrawn=row.withdrawn,
    )
