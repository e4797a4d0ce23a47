"""Resolved tasks as calibration reads them: what every round's panel said, and what turned out to be right."""

from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import InputError
from domain.model import Frozen
from domain.proposal import Proposal
from domain.task_type import TaskType, amount_of

_CHUNK = 500
# Recording an outcome again moves its time; since when an episode is known stays, where its label does.
_RESOLVED = text(
    "SELECT t.id, t.case_key, t.type_version, t.created_at, d.at AS decided_at, o.recorded_at, o.right_action, p.said, "
    "k.known_at, t.payload -> CAST(:stake_field AS text) AS stake "
    "FROM tasks t JOIN outcomes o ON o.task_id = t.id "
    "JOIN decisions d ON d.task_id = t.id AND d.subtask_id = :subtask_id "
    "CROSS JOIN LATERAL (SELECT jsonb_agg(jsonb_build_array(round, body - 'erased') ORDER BY round, persona) AS said "
    " FROM proposals WHERE task_id = t.id AND subtask_id = :subtask_id AND struck IS NULL) p "
    "CROSS JOIN LATERAL (SELECT LEAST(min(known.recorded_at), min(m.known_at)) AS known_at FROM tasks same "
    " JOIN outcomes known ON known.task_id = same.id "
    " LEFT JOIN memories m ON m.task_id = same.id AND m.kind = 'episodic' "
    " WHERE same.id = t.id OR (same.task_type = t.task_type AND same.case_key = t.case_key)) k "
    "WHERE t.task_type = :task_type AND t.forked_from IS NULL "
    "AND (CAST(:since AS timestamptz) IS NULL OR d.at >= :since) "
    "AND (CAST(:until AS timestamptz) IS NULL OR d.at < :until) "
    "ORDER BY d.at, t.id"
)


class ResolvedRow(Frozen):
    """One resolved task's negotiation of its answer."""

    task_id: str
    case_key: str | None
    """The case's own id in its file. Within a task type equal ids are the same case, whatever file they came from; it
    may have been decided more than once."""
    type_version: int
    right_action: str
    created_at: datetime
    decided_at: datetime
    recorded_at: datetime
    """When its outcome was recorded."""
    known_at: datetime
    """When an outcome of this case was first known, of this task or of another one made from the same case."""
    stake: float | None
    """Amount at stake in currency units; None where the task type names no field, or it is empty or erased."""
    rounds: tuple[tuple[Proposal, ...], ...]
    """Every recorded round's proposals that the guards let stand, each round ordered by persona."""

    @property
    def versions(self) -> dict[str, int]:
        """Persona -> the version that spoke."""
        return {proposal.persona: proposal.persona_version for given in self.rounds for proposal in given}


async def stream_resolved(
    connection: AsyncConnection,
    task_type: TaskType,
    subtask_id: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> AsyncIterator[ResolvedRow]:
    """The resolved tasks decided in [since, until), in the order of their decisions, a few hundred at a time.

    Raises InputError for a subtask that is not the answer: outcomes say what was right for that one only.
    """
    if subtask_id != task_type.answer:
        raise InputError(
            f"{task_type.name}/{subtask_id}: outcomes speak of its answer, {task_type.answer}: name that subtask"
        )
    values = {
        "task_type": task_type.name,
        "subtask_id": subtask_id,
        "since": since,
        "until": until,
        "stake_field": task_type.stake_field,
    }
    found = await connection.stream(_RESOLVED, values, execution_options={"yield_per": _CHUNK})
    async for row in found:
        said = row.said or []
        rounds: list[list[Proposal]] = [[] for _ in range(1 + max((one[0] for one in said), default=-1))]
        for number, body in said:
            rounds[number].append(Proposal.model_validate(body))
        yield ResolvedRow(
            task_id=row.id,
            case_key=row.case_key,
            type_version=row.type_version,
            right_action=row.right_action,
            created_at=row.created_at,
            decided_at=row.decided_at,
            recorded_at=row.recorded_at,
            known_at=row.known_at,
            stake=amount_of(row.stake),
            rounds=tuple(tuple(given) for given in rounds),
        )


async def resolved_cases(
    connection: AsyncConnection,
    task_type: TaskType,
    subtask_id: str,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
) -> list[ResolvedRow]:
    """All of them at once; with `limit` the latest so many."""
    kept: deque[ResolvedRow] = deque(maxlen=limit)
    async for row in stream_resolved(connection, task_type, subtask_id, since, until):
        kept.append(row)
    return list(kept)
