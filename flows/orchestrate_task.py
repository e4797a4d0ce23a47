"""Move one task forward from its last checkpoint: every stage and round is visible in the Prefect UI."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from prefect import flow
from prefect.artifacts import MarkdownArtifact
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Completed
from sqlalchemy import select

from domain.settings import Settings
from domain.task import TaskStatus
from flows.results import RESULTS
from flows.traced import TRACED
from negotiation.explanation import as_markdown
from orchestration.cancelling import CancelWatch
from orchestration.graph import Graphs
from orchestration.heartbeat import Heartbeat
from orchestration.recovery import set_back
from orchestration.run import Runtime, run_task
from orchestration.standalone import owner_name
from orchestration.wiring import open_runtime
from storage.leases import Claim, claim_one
from storage.repositories.tasks import load_task
from storage.tables import decisions


@dataclass(frozen=True)
class Claimed:
    """What a worker hands to the flow it runs in its own process."""

    runtime: Runtime
    claim: Claim
    graphs: Graphs


CLAIMED: ContextVar[Claimed | None] = ContextVar("parley_claimed", default=None)


@flow(
    name="orchestrate_task",
    flow_run_name="{task_id}",
    validate_parameters=False,
    persist_result=False,
    result_storage=RESULTS,
)
async def orchestrate_task(task_id: str, fence: int | None = None) -> State[Any]:
    """Run the task until it ends or is parked for a person; may be run any number of times, by anyone.

    `fence`: of the lease that a worker runs it with, so that the run can be told from its successors.

    Raises NotFound.
    """
    claimed = CLAIMED.get()
    if claimed is not None:
        return await _move_on(claimed)
    settings = Settings()
    async with open_runtime(settings) as runtime:
        owner = owner_name()
        limits = runtime.catalog.limits()
        claim = await claim_one(runtime.engine, owner, task_id, seconds=settings.lease_seconds, limits=limits)
        if claim is None:
            async with runtime.engine.connect() as connection:
                await load_task(connection, task_id)
            return Completed(name="NothingToDo", message="the task is not due, or a worker holds its lease")
        heartbeat = Heartbeat(runtime.dsn, owner, settings)
        heartbeat.start()
        cancels = CancelWatch(runtime.engine, owner, settings)
        try:
            return await _watched(Claimed(runtime=runtime, claim=claim, graphs=runtime.graphs()), cancels)
        except Exception as error:
            await set_back(runtime.engine, claim.lease, error)
            raise
        finally:
            heartbeat.stop()


async def _watched(claimed: Claimed, cancels: CancelWatch) -> State[Any]:
    """As a worker watches its runs: what a cancel does not stop is cut off past its grace."""
    lease, running = claimed.claim.lease, asyncio.create_task(_move_on(claimed))
    cancels.hold(lease, running)
    watching = asyncio.create_task(cancels.watch())
    try:
        return await running
    except asyncio.CancelledError:
        if not cancels.has_cut(lease):
            running.cancel()
            raise
        await cancels.give_back(lease)
        return Completed(name="CutOff", message="cancelled, and a call in flight was cut off: any worker ends the task")
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _move_on(claimed: Claimed) -> State[Any]:
    lease = claimed.claim.lease
    status = await run_task(claimed.runtime, lease, TRACED, claimed.graphs)
    await _show_decisions(claimed.runtime, lease.task_id)
    if status is TaskStatus.PARKED:
        return Completed(name="AwaitingApproval", message=f"answer with `parley approve {lease.task_id}`")
    return Completed(message=f"the task ended as {status.value}")


async def _show_decisions(runtime: Runtime, task_id: str) -> None:
    statement = select(decisions.c.subtask_id, decisions.c.body).where(decisions.c.task_id == task_id)
    # The flow run's own client: a new one would read the certificates anew.
    run = FlowRunContext.get()
    client = run.client if run is not None and isinstance(run.client, PrefectClient) else None
    async with runtime.engine.connect() as connection:
        rows = (await connection.execute(statement.order_by(decisions.c.subtask_id))).all()
    for row in rows:
        artifact = MarkdownArtifact(
            key=f"decision-{task_id}-{row.subtask_id}".lower().replace("_", "-"),
            markdown=as_markdown(row.body["explanation"]),
            description=f"Why {row.subtask_id} was decided so",
        )
        await artifact.acreate(client)


async def run_claim(runtime: Runtime, claim: Claim, graphs: Graphs) -> None:
    """Run a task that a worker has claimed as a flow run in the worker's process."""
    token = CLAIMED.set(Claimed(runtime=runtime, claim=claim, graphs=graphs))
    try:
        await orchestrate_task(claim.lease.task_id, claim.lease.fence)
    finally:
        CLAIMED.reset(token)
