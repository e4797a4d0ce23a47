"""Prefect's runs brought into line with the rows: the row is the truth, whatever Prefect says."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Crashed
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.model import Frozen
from domain.task import END_STATES, TaskStatus
from storage.audit import write_event
from storage.leases import CHANNEL

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
CLIENT_SECONDS = 20.0
"""For one look as a whole; what is left has its turn the next time."""
GRACE_SECONDS = 10.0
"""A run that is about to say its own end is left alone for so long."""
PAGE = 200
_FLOW = FlowFilter(name=FlowFilterName(any_=["orchestrate_task"]))
_GOING = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
_BROKEN = [StateType.CRASHED, StateType.CANCELLED, StateType.FAILED]

_ROWS = text(
    "SELECT id, status, fence, lease_owner IS NOT NULL AND lease_until < now() AS ran_out, "
    "EXTRACT(EPOCH FROM now() - COALESCE(ended_at, parked_at)) AS settled_for FROM tasks WHERE id = ANY(:ids)"
)
_HELD = text(
    "SELECT id, fence FROM tasks WHERE status = 'running' AND lane = 'traced' AND lease_owner IS NOT NULL "
    "AND lease_until >= now() ORDER BY lease_until LIMIT :page"
)
_LOCK = text("SELECT fence FROM tasks WHERE id = :id FOR NO KEY UPDATE")
_GIVE_BACK = text(
    "UPDATE tasks SET lease_owner = NULL, lease_until = NULL "
    "WHERE id = :id AND fence = :fence AND status = 'running' AND lease_owner IS NOT NULL RETURNING id"
)


class Agreed(Frozen):
    """What one look did."""

    settled: int = 0
    """Prefect runs that were set to the state that fits their row."""
    given_back: int = 0
    """Tasks whose Prefect run had ended without them, due for another."""
    away: str | None = None
    """Why Prefect could not be asked."""


async def keep_agreeing(engine: AsyncEngine, seconds: float = LOOK_SECONDS) -> None:
    """Look now and then, for as long as the process runs."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await agree(engine)
        except Exception as error:
            log.warning("comparing Prefect's runs with the rows failed, trying again: %s", error)


async def agree(engine: AsyncEngine, *, grace: float = GRACE_SECONDS) -> Agreed:
    """Settle Prefect's runs by their rows, and give back what waits for a run that has ended."""
    if PREFECT_API_URL.value() is None:
        # Asking all the same would start a server.
        return Agreed(away="no Prefect server is named")
    try:
        async with asyncio.timeout(CLIENT_SECONDS), get_client(httpx_settings={"timeout": 5.0}) as client:
            settled = await _settle(engine, client, grace)
            return Agreed(settled=settled, given_back=await _give_back(engine, client, grace))
    except (httpx.HTTPError, PrefectException, OSError, TimeoutError) as error:
        # The rows need no Prefect: leases run out by themselves. The next look settles what is left.
        away = f"{type(error).__name__}: {error}"
        log.warning("Prefect is away, its runs are compared with the rows later: %s", away)
        return Agreed(away=away)


async def _settle(engine: AsyncEngine, client: PrefectClient, grace: float) -> int:
    runs = await _runs(client, FlowRunFilter(state=_in(_GOING)))
    if not runs:
        return 0
    async with engine.connect() as connection:
        rows = {row.id: row for row in await connection.execute(_ROWS, {"ids": [run.name for run in runs]})}
    settled = 0
    for run in runs:
        row = rows.get(run.name)
        fits = None if row is None or _age(run) < grace else fitting(run.parameters.get("fence"), row, grace)
        if fits is not None:
            await _set(engine, client, run, fits)
            settled += 1
    return settled


def fitting(fence: int | None, row: Row[Any], grace: float) -> State[Any] | None:
    """The state that fits the row, for a run that Prefect believes to go on; None where it may well go on.

    `fence`: of the lease that the run was started with; None for one that took its lease itself.
    """
    status = TaskStatus(row.status)
    if fence is not None and row.fence > fence:
        return Crashed(message="its process ended or stood still, and another run has taken the task over")
    if row.settled_for is not None and row.settled_for < grace:
        return None
    if status in END_STATES:
        return Completed(message=f"the task ended as {status.value}")
    if status is TaskStatus.PARKED:
        return Completed(name="AwaitingApproval", message=f"answer with `parley approve {row.id}`")
    if row.ran_out:
        return Crashed(message="its lease ran out: its process ended or stood still")
    return None


async def _set(engine: AsyncEngine, client: PrefectClient, run: FlowRun, state: State[Any]) -> None:
    """Set the run and the rounds within it, and put it among the task's events."""
    parent = FlowRunFilterParentFlowRunId(any_=[run.id])
    within = FlowRunFilter(parent_flow_run_id=parent, state=_in(_GOING))
    for one in (run, *await client.read_flow_runs(flow_run_filter=within)):
        await client.set_flow_run_state(one.id, state, force=True)
    data = {"flow_run": str(run.id), "was": run.state_name, "now": state.name, "why": state.message}
    async with engine.begin() as connection:
        fence = await connection.scalar(_LOCK, {"id": run.name})
        key = f"prefect:{run.id}"
        await write_event(connection, run.name, key, "prefect.settled", data, fence=int(fence or 0), actor="recover")


async def _give_back(engine: AsyncEngine, client: PrefectClient, grace: float) -> int:
    """Give back the leases of runs that Prefect saw end badly: another run takes them over with a new fence."""
    async with engine.connect() as connection:
        held = {row.id: row.fence for row in await connection.execute(_HELD, {"page": PAGE})}
    if not held:
        return 0
    wanted = FlowRunFilter(name=FlowRunFilterName(any_=list(held)), state=_in(_BROKEN))
    given = 0
    for run in await _runs(client, wanted):
        if run.parameters.get("fence") != held[run.name] or _age(run) < grace:
            continue
        values = {"id": run.name, "fence": held[run.name]}
        data = {"flow_run": str(run.id), "state": run.state_name}
        async with engine.begin() as connection:
            if (await connection.execute(_GIVE_BACK, values)).one_or_none() is None:
                continue
            by: dict[str, Any] = {"fence": held[run.name], "actor": "recover"}
            await write_event(connection, run.name, f"prefect:{run.id}:ended", "prefect.ended", data, **by)
            await connection.execute(text(f"NOTIFY {CHANNEL}"))
        given += 1
    return given


async def _runs(client: PrefectClient, wanted: FlowRunFilter) -> list[FlowRun]:
    """The oldest of them, a page at most."""
    return await client.read_flow_runs(
        flow_filter=_FLOW, flow_run_filter=wanted, sort=FlowRunSort.START_TIME_ASC, limit=PAGE
    )


def _in(types: Sequence[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types)))


def _age(run: FlowRun) -> float:
    """Seconds since the run came into its state, by Prefect's clock against ours: only good for a grace."""
    return (datetime.now(UTC) - run.state.timestamp).total_seconds() if run.state is not None else 0.0
