"""One round of a subtask's negotiation, as a subflow of the task's run."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from prefect import flow

from domain.errors import LeaseLost
from domain.settings import Settings
from orchestration.stages import StageResult, Stages, hold_round
from orchestration.standalone import hold_one_round
from tasks.context import StageContext


@dataclass(frozen=True)
class RoundCall:
    """What the enclosing run hands to its round; too alive to be a flow parameter."""

    stages: Stages
    context: StageContext


ROUND: ContextVar[RoundCall | None] = ContextVar("parley_round", default=None)


@flow(
    name="negotiation_round",
    flow_run_name="{task_id}/{subtask_id}/round-{round}",
    validate_parameters=False,
    persist_result=False,
)
async def negotiation_round(task_id: str, subtask_id: str, round: int) -> dict[str, Any]:
    """Hold the round. Inside a task's run it uses that run; triggered by itself it takes the task's lease."""
    call = ROUND.get()
    if call is None:
        held = await hold_one_round(Settings(), task_id, subtask_id, round)
        if held is None:
            raise LeaseLost(f"task {task_id} is not due, or another worker holds it")
        return held
    result: StageResult = await hold_round(call.stages, call.context, subtask_id, round)
    return result
