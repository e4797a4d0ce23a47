"""What memory held before each persona of a conflict, from the round's snapshot."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from domain.decision import Result
from domain.memory import PersonaContext
from negotiation.background import Background, Recalled
from storage.tables import snapshots
from storage.unit_of_work import UnitOfWork
from tasks.ballots import RoundBallots


async def load_background(
    work: UnitOfWork, subtask_id: str, round: int, ballots: RoundBallots | None, result: Result
) -> dict[str, Background]:
    """By persona; empty where nobody disagrees. A round that this run has just cast is not read again, unless an
    earlier run may have stored its own snapshot of it, which then stands.
    """
    if len({item.option for item in result.weights if item.option is not None}) < 2:
        return {}
    if ballots is not None and work.lease.fence == 1:
        return backgrounds(ballots.snapshot.contexts)
    await work.flush()
    here = (snapshots.c.task_id == work.lease.task_id, snapshots.c.subtask_id == subtask_id, snapshots.c.round == round)
    stored = (await work.connection.execute(select(snapshots.c.contexts).where(*here))).scalar_one_or_none()
    return backgrounds(PersonaContext.model_validate(seen) for seen in stored or ())


def backgrounds(contexts: Iterable[PersonaContext]) -> dict[str, Background]:
    """By persona."""
    return {seen.persona: _background(seen) for seen in contexts}


def _background(seen: PersonaContext) -> Background:
    facts = tuple(Recalled(id=str(memory["id"]), kind="semantic") for memory in seen.facts)
    return Background(recalled=(*(_episode(memory) for memory in seen.episodes), *facts), degraded=seen.degraded)


def _episode(memory: Mapping[str, Any]) -> Recalled:
    """Its structured facts; its text stays where it is."""
    action, right = memory.get("action"), memory.get("right")
    return Recalled(
        id=str(memory["id"]),
        kind="episodic",
        action=action if isinstance(action, str) else None,
        right=right if isinstance(right, bool) else None,
    )
