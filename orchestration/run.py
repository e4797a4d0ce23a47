"""A run: one attempt to move a task forward from its last checkpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.types import Command
from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.load import Catalog
from domain.action import Executor
from domain.errors import NotYet, TaskPaused
from domain.ports import Recaller
from domain.task import Lease, TaskStatus
from orchestration.graph import Graphs, build_graphs
from orchestration.memory_feed import MemoryFeed
from orchestration.run_context import RunContext
from orchestration.stages import Stages
from storage.checkpoints import Pool, saver, thread_of
from storage.leases import park, release
from storage.repositories.tasks import load_task
from tasks.context import StageContext
from tasks.dry_run import dry_runs


@dataclass(frozen=True)
class Runtime:
    """What a process needs to run tasks; made once at the edge."""

    dsn: str
    engine: AsyncEngine
    checkpoints: Pool
    catalog: Catalog
    recaller: Recaller
    executors: Callable[[AsyncEngine], Mapping[str, Executor]]
    cancel_grace_seconds: float = 10.0
    feed: MemoryFeed | None = None
    """Told to forget what was erased."""

    def graphs(self) -> Graphs:
        """A compiled pair for one slot: savers lock inside, so tasks that run at once do not share one."""
        return build_graphs(saver(self.checkpoints), saver(self.checkpoints))


async def make_context(runtime: Runtime, lease: Lease) -> StageContext:
    """What the stages of one run are handed. Raises NotFound."""
    async with runtime.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        task = await load_task(connection, lease.task_id)
    executors = runtime.executors(runtime.engine)
    return StageContext(
        engine=runtime.engine,
        catalog=runtime.catalog,
        recaller=runtime.recaller,
        executors=dry_runs(executors) if task.dry_run else executors,
        lease=lease,
        task=task,
    )


async def run_task(runtime: Runtime, lease: Lease, stages: Stages, graphs: Graphs) -> TaskStatus:
    """Move the task on until it ends, is parked or has to wait; returns which. Raises LeaseLost."""
    stage = await make_context(runtime, lease)
    grace = runtime.cancel_grace_seconds
    run = RunContext(stages=stages, stage=stage, subtask_graph=graphs.subtask, grace_seconds=grace)
    config = thread_of(lease)
    start = await _start(graphs, config, lease)
    try:
        ended = await graphs.task.ainvoke(start, config, context=run, durability="sync")
    except TaskPaused:
        await park(runtime.engine, lease, paused=True)
        return TaskStatus.PARKED
    except NotYet as later:
        await release(runtime.engine, lease, delay=later.seconds)
        return TaskStatus.RUNNING
    if "__interrupt__" in ended:
        await park(runtime.engine, lease)
        return TaskStatus.PARKED
    return TaskStatus(ended["status"])


async def _start(graphs: Graphs, config: Any, lease: Lease) -> Any:
    """The graph's input: anew, on from where it stopped, or resumed."""
    fresh = {"task_id": lease.task_id}
    if lease.fence == 1:
        # The first claim: there can be no checkpoint to look for.
        return fresh
    state = await graphs.task.aget_state(config)
    if state.interrupts:
        return Command(resume=True)
    return None if state.next else fresh
