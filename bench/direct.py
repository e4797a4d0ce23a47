"""The direct lane on rows of the credit pilot."""

import time

from catalog.cases import read_cases
from domain.settings import ROOT, Settings
from domain.task import Lane
from orchestration.direct import DIRECT
from orchestration.graph import Graphs
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_cases
from orchestration.worker import Worker
from storage.leases import Claim

PILOT = "credit_review"
CASES = ROOT / "pilots" / PILOT / "data" / "applications.csv"


async def submit(runtime: Runtime, offset: int, count: int, lane: Lane) -> tuple[str, ...]:
    """Submit so many rows; returns the tasks' ids."""
    kind = runtime.catalog.task_type(PILOT)
    cases = read_cases(kind, CASES, offset, count)
    batch = await submit_cases(runtime.engine, kind, cases, source="bench", principal="bench", lane=lane)
    return batch.task_ids


async def run_direct(runtime: Runtime, settings: Settings, task_ids: tuple[str, ...]) -> float:
    """Seconds from the first claim until each of these, the only due ones, has ended or is parked."""
    begins: list[float] = []
    ends: list[float] = []

    async def run_claim(runtime: Runtime, claim: Claim, graphs: Graphs) -> None:
        begins.append(time.perf_counter())
        await run_task(runtime, claim.lease, DIRECT, graphs)
        ends.append(time.perf_counter())
        if len(ends) == len(task_ids):
            worker.stop()

    worker = Worker(runtime, settings, {Lane.DIRECT: run_claim})
    await worker.run()
    return ends[-1] - begins[0]
