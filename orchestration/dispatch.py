"""Dispatch: start each subtask the moment its dependencies are done, a bounded number at once.

Each subtask is a graph thread of its own, so one that waits for a person never holds up an independent one.
"""

import asyncio
from collections.abc import Collection
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import Command
from sqlalchemy import text

from domain.errors import NotYet, TaskHalted, TaskPaused
from domain.model import Frozen
from domain.plan import Plan
from domain.task import ENDED_SUBTASK, SubtaskStatus, TaskStatus
from orchestration.forks import entry_of
from orchestration.run_context import RunContext
from orchestration.state import TaskState
from planning.schedule import advance
from storage.checkpoints import thread_of
from storage.repositories.actions import HALTED
from storage.unit_of_work import FENCED, check_fence
from tasks.skip import skip

_STANDING = text(
    f"SELECT {FENCED}, {HALTED.format(task='tasks.id')} AS halted, CASE WHEN NOT :planned THEN plan END AS plan, "
    "COALESCE((SELECT jsonb_agg(jsonb_build_array(subtask_id, status, action) ORDER BY subtask_id) "
    "FROM subtasks WHERE task_id = tasks.id), CAST('[]' AS jsonb)) AS stand FROM tasks WHERE id = :id"
)
BAD_ENDS = frozenset({SubtaskStatus.DENIED, SubtaskStatus.FAILED})


class Standing(Frozen):
    """Where a task's subtasks stand."""

    plan: Plan
    statuses: dict[str, SubtaskStatus]
    actions: dict[str, str | None]
    overdue: bool
    halted: bool
    """By policy."""

    @property
    def stopped(self) -> bool:
        """Whether policy halted the task, or a required subtask ended badly."""
        return self.halted or any(step.required and self.statuses[step.id] in BAD_ENDS for step in self.plan.subtasks)

    @property
    def ended(self) -> bool:
        """Whether every subtask has ended."""
        return all(status in ENDED_SUBTASK for status in self.statuses.values())


async def dispatch(state: TaskState, runtime: Runtime[RunContext]) -> TaskState:
    """Run what can run. Ends with `dispatch` = ended, wait or stopped."""
    run = runtime.context
    touched: set[str] = set()
    running: dict[asyncio.Task[None], str] = {}
    plan: Plan | None = None
    try:
        while True:
            standing = await _standing(run, plan)
            plan = standing.plan
            if standing.overdue and not standing.ended:
                await _let_end(running, run.grace_seconds)
                return {"dispatch": "stopped", "halted": TaskStatus.EXPIRED.value}
            if not standing.stopped:
                await _start(run, standing, touched, running)
            if not running:
                return _verdict(run, standing)
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                running.pop(one)
                one.result()
    except TaskHalted:
        await _let_end(running, run.grace_seconds)
        return {"dispatch": "stopped", "halted": TaskStatus.CANCELLED.value}
    except TaskPaused:
        # Each of the others stops before its own next node.
        await _let_end(running, None)
        raise
    finally:
        await _settle(running)


def _verdict(run: RunContext, standing: Standing) -> TaskState:
    if standing.stopped:
        return {"dispatch": "stopped"}
    if run.waits:
        raise NotYet(min(run.waits.values()), f"{', '.join(sorted(run.waits))}: an action has to wait")
    return {"dispatch": "ended" if standing.ended else "wait"}


async def _standing(run: RunContext, plan: Plan | None) -> Standing:
    """Nothing is written here, so one statement that sees one moment does, without a lock."""
    async with run.stage.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        row = (await connection.execute(_STANDING, {"id": run.stage.task.id, "planned": plan is not None})).one()
    check_fence(row, run.stage.lease)
    return Standing(
        plan=plan or Plan.model_validate(row.plan),
        statuses={name: SubtaskStatus(status) for name, status, _ in row.stand},
        actions={name: action for name, _, action in row.stand},
        overdue=row.overdue,
        halted=row.halted,
    )


async def _start(
    run: RunContext, standing: Standing, touched: set[str], running: dict[asyncio.Task[None], str]
) -> None:
    """Start what is ready, and what was begun by an earlier run and has not ended."""
    while True:
        moves = advance(standing.plan, standing.statuses, standing.actions)
        if not moves.skip:
            break
        await skip(run.stage, moves.skip)
        standing.statuses.update(dict.fromkeys(moves.skip, SubtaskStatus.SKIPPED))
    begun = (name for name, status in standing.statuses.items() if status in _BEGUN)
    limit = run.stage.task_type.plan.concurrency
    for subtask_id in (*begun, *moves.ready):
        if subtask_id not in touched and len(running) < limit:
            touched.add(subtask_id)
            running[asyncio.create_task(_run_subtask(run, subtask_id, standing.statuses[subtask_id]))] = subtask_id


_BEGUN = frozenset({SubtaskStatus.RUNNING, SubtaskStatus.PARKED})


async def _run_subtask(run: RunContext, subtask_id: str, status: SubtaskStatus) -> None:
    config = thread_of(run.stage.lease, subtask_id)
    start: Any = {"subtask_id": subtask_id, "round": 0}
    if status in _BEGUN or run.stage.lease.fence > 1:
        state = await run.subtask_graph.aget_state(config)
        if state.interrupts:
            start = Command(resume=True)
        elif state.next:
            start = None
        elif (entry := await entry_of(run, subtask_id)) is not None and not state.values:
            await run.subtask_graph.aupdate_state(config, entry.state, as_node=entry.node)
            start = None
    try:
        await run.subtask_graph.ainvoke(start, config, context=run, durability="sync")
    except NotYet as later:
        # The others are not held up by it.
        run.waits[subtask_id] = later.seconds


async def _let_end(running: Collection[asyncio.Task[None]], seconds: float | None) -> None:
    """Await what is in flight, for so long."""
    if running:
        await asyncio.wait(list(running), timeout=seconds)


async def _settle(running: dict[asyncio.Task[None], str]) -> None:
    """Let no subtask run on after its dispatch has ended."""
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)
