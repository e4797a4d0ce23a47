"""The nodes: each calls its stage and hands on what routes need."""

from contextlib import suppress

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from domain.errors import ExecutorError, NotYet, TaskHalted
from orchestration.run_context import RunContext
from orchestration.state import SubtaskState, TaskState


async def intake(state: TaskState, runtime: Runtime[RunContext]) -> TaskState:
    """Check the input."""
    run = runtime.context
    try:
        return {"denied": (await run.stages.intake(run.stage))["denied"]}
    except TaskHalted:
        # Cancelled before it began: dispatch meets the same and ends the task.
        return {"denied": None}


async def plan(state: TaskState, runtime: Runtime[RunContext]) -> TaskState:
    """Lay out the subtasks."""
    with suppress(TaskHalted):  # dispatch meets the same and ends the task
        await runtime.context.stages.plan(runtime.context.stage)
    return {}


async def wait(state: TaskState) -> TaskState:
    """Park until a person has answered."""
    interrupt("a person's answer")
    return {}


async def compensate(state: TaskState, runtime: Runtime[RunContext]) -> TaskState:
    """Close what had not started, and undo what was done."""
    run = runtime.context
    while True:
        told = await run.stages.compensate(run.stage, state.get("halted") or "a required subtask did not end well")
        if told["next"] != "undo":
            return {"compensated": told["next"]}
        await _undo(run, told["subtask"])


async def _undo(run: RunContext, subtask_id: str) -> None:
    try:
        ended = await run.stages.undo(run.stage, subtask_id)
    except (ExecutorError, TimeoutError) as error:
        ended = await run.stages.give_up_undo(run.stage, subtask_id, f"{type(error).__name__}: {error}")
    if ended["ended"] == "later":
        raise NotYet(ended["seconds"], f"undoing {subtask_id} has to wait")


async def consolidate(state: TaskState, runtime: Runtime[RunContext]) -> TaskState:
    """Remember the task's end."""
    await runtime.context.stages.consolidate(runtime.context.stage)
    return {}


async def report(state: TaskState, runtime: Runtime[RunContext]) -> TaskState:
    """End the task."""
    run = runtime.context
    return {"status": (await run.stages.report(run.stage, state.get("denied"), state.get("halted")))["status"]}


async def negotiate(state: SubtaskState, runtime: Runtime[RunContext]) -> SubtaskState:
    """Hold one round."""
    run, round = runtime.context, state["round"]
    held = await run.stages.negotiate(run.stage, state["subtask_id"], round)
    return {"go": held["go"], "cause": held["cause"] or "", "round": round + 1}


async def guard(state: SubtaskState, runtime: Runtime[RunContext]) -> SubtaskState:
    """Ask the policies."""
    run = runtime.context
    verdict = await run.stages.guard(run.stage, state["subtask_id"])
    return {"effect": verdict["effect"], "cause": verdict["cause"]}


async def approve(state: SubtaskState, runtime: Runtime[RunContext]) -> SubtaskState:
    """Ask a person."""
    await runtime.context.stages.approve(runtime.context.stage, state["subtask_id"], state["cause"])
    return {}


async def answer(state: SubtaskState, runtime: Runtime[RunContext]) -> SubtaskState:
    """Park, then take the answer."""
    interrupt("a person's answer")
    run = runtime.context
    return {"answer": (await run.stages.answer(run.stage, state["subtask_id"]))["answer"]}


async def execute(state: SubtaskState, runtime: Runtime[RunContext]) -> SubtaskState:
    """Act; an executor that keeps failing ends the subtask."""
    run = runtime.context
    try:
        ended = await run.stages.execute(run.stage, state["subtask_id"])
    except (ExecutorError, TimeoutError) as error:
        ended = await run.stages.give_up(run.stage, state["subtask_id"], f"{type(error).__name__}: {error}")
    if ended["ended"] == "later":
        raise NotYet(ended["seconds"], f"executing {state['subtask_id']} has to wait")
    return {"ended": ended["ended"]}
