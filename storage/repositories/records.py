"""Everything that a task left behind, read at one moment, to be gone through once more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import is_erased, unmarked
from domain.erasures import EVENT
from domain.guard import Hop
from domain.memory import PersonaContext
from domain.proposal import Proposal
from domain.task import Task
from storage.repositories.listing import Row, parts, rows, task
from storage.repositories.negotiation import StoredProposal
from storage.tables import events, memories, snapshots


@dataclass(frozen=True)
class TaskRecords:
    """A task's rows."""

    row: Row
    subtasks: Sequence[Row]
    decisions: Mapping[str, Row]
    """By subtask."""
    proposals: Sequence[Row]
    verdicts: Sequence[Row]
    approvals: Sequence[Row]
    """Oldest first."""
    answers: Sequence[Row]
    """Each person's, to any of them."""
    actions: Mapping[str, Row]
    snapshots: Sequence[Row]
    events: Sequence[Row]
    memories: Mapping[str, Row]
    """By id: those that the snapshots name, and those that were judged and left out."""
    outcome: Row | None

    @property
    def task(self) -> Task:
        """The task itself."""
        return Task.model_validate({name: self.row[name] for name in Task.model_fields})

    def rounds(self, subtask_id: str) -> list[list[StoredProposal]]:
        """The subtask's proposals by round, each round ordered by persona."""
        found: list[list[StoredProposal]] = []
        for row in self.proposals:
            if row["subtask_id"] != subtask_id:
                continue
            while len(found) <= row["round"]:
                found.append([])
            proposal = Proposal.model_validate(unmarked(row["body"]))
            found[row["round"]].append(StoredProposal(proposal=proposal, struck=row["struck"]))
        return found

    def contexts(self, subtask_id: str) -> dict[int, tuple[PersonaContext, ...]]:
        """What the subtask's panel saw, by round."""
        return {
            row["round"]: tuple(PersonaContext.model_validate(seen) for seen in row["contexts"])
            for row in self.snapshots
            if row["subtask_id"] == subtask_id
        }

    def blanked(self, table: str, *keys: str) -> bool:
        """Whether an erasure took somebody's data out of one of these rows; without keys, out of any of the table's."""
        places = (event["data"].get("places", {}).get(table, ()) for event in self.events if event["event"] == EVENT)
        return any(not keys or one in keys for found in places for one in found)

    def quoted(self, subtask_id: str) -> bool:
        """Whether what the subtask's negotiation said, or was decided by, has lost what quoted somebody."""
        said = [one for one in self.proposals if one["subtask_id"] == subtask_id]
        decided = self.decisions.get(subtask_id)
        # A fork's rows were copied as an erasure had left them.
        return any(is_erased(one["body"]) for one in (*said, *([decided] if decided else ())))

    def event(self, key: str) -> Row | None:
        """The event of that key."""
        return next((row for row in self.events if row["key"] == key), None)


async def load_records(connection: AsyncConnection, task_id: str) -> TaskRecords | None:
    """The task with all its rows; None where there is no such task."""
    row = await task(connection, task_id)
    if row is None:
        return None
    found = await parts(connection, task_id)
    seen = await rows(
        connection,
        select(snapshots).where(snapshots.c.task_id == task_id).order_by(snapshots.c.subtask_id, snapshots.c.round),
    )
    happened = await rows(connection, select(events).where(events.c.task_id == task_id).order_by(events.c.seq))
    ids = sorted({*memory_ids(seen), *judged_memories(found["verdicts"])})
    recalled = await rows(connection, select(memories).where(memories.c.id.in_(ids))) if ids else ()
    outcome = found["outcomes"]
    return TaskRecords(
        row=row,
        subtasks=found["subtasks"],
        decisions={one["subtask_id"]: one for one in found["decisions"]},
        proposals=found["proposals"],
        verdicts=found["verdicts"],
        approvals=found["approvals"],
        answers=found["approval_answers"],
        actions={one["subtask_id"]: one for one in found["actions"]},
        snapshots=seen,
        events=happened,
        memories={one["id"]: one for one in recalled},
        outcome=outcome[0] if outcome else None,
    )


def memory_ids(seen: Sequence[Mapping[str, Any]]) -> list[str]:
    """The memories that these snapshots' contexts hold, and those that a context's budget left out."""
    found: set[str] = set()
    for row in seen:
        for context in row["contexts"]:
            found |= {str(one["id"]) for one in (*context["episodes"], *context["facts"])}
            cut = (name.partition(":") for name in context["truncated"])
            found |= {name for kind, _, name in cut if kind in ("episode", "fact")}
    return sorted(found)


def judged_memories(verdicts: Sequence[Mapping[str, Any]]) -> set[str]:
    """The memories that these verdicts are on."""
    # `retrieved:<subtask>:<memory>`, where a memory's id may have colons of its own.
    return {str(row["key"]).split(":", 2)[2] for row in verdicts if row["hop"] == Hop.RETRIEVED}
