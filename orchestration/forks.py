"""Where a fork's subtask goes on: the graph's state from its records, never from another task's checkpoints."""

from dataclasses import dataclass

from sqlalchemy import select

from domain.decision import Decision
from domain.guard import Effect, Hop
from orchestration.run_context import RunContext
from orchestration.state import SubtaskState
from storage.repositories.negotiation import load_decision
from storage.tables import verdicts


@dataclass(frozen=True)
class Entry:
    """The node that is taken as done, and what it left."""

    node: str
    state: SubtaskState


async def entry_of(run: RunContext, subtask_id: str) -> Entry | None:
    """None where the subtask begins at its beginning."""
    task = run.stage.task
    name, _, stage = (task.fork_stage or "").partition("/")
    if task.forked_from is None or name != subtask_id or stage == "negotiate":
        return None
    async with run.stage.engine.connect() as connection:
        decision = await load_decision(connection, task.id, subtask_id)
        here = (verdicts.c.task_id == task.id, verdicts.c.subtask_id == subtask_id, verdicts.c.hop == Hop.ARGUMENTS)
        overridable_by = verdicts.c.body["overridable_by"].astext.label("overridable_by")
        statement = select(verdicts.c.effect, verdicts.c.policy_ids, overridable_by).where(*here)
        verdict = (await connection.execute(statement)).one_or_none()
    state: SubtaskState = {"subtask_id": subtask_id, "round": decision.rounds}
    if verdict is None:
        return Entry("negotiate", {**state, **_decided(decision)})
    # The one verdict that was copied: on it the route goes to approve or to execute.
    effect = Effect(verdict.effect) if verdict.overridable_by is None else Effect.REQUIRE_APPROVAL
    return Entry("guard", {**state, "effect": effect.value, "cause": ", ".join(verdict.policy_ids)})


def _decided(decision: Decision) -> SubtaskState:
    if decision.option is not None:
        return {"go": "decided", "cause": ""}
    return {"go": "escalated", "cause": decision.result.kind.value}
