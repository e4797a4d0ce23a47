"""Shared by the tests of control: tasks that end alone, tasks that wait for a person, and running them."""

from domain.task import Lane, TaskStatus
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.submission import submit_task
from storage.leases import claim_one

ALONE = {"Seniority": 20, "Home": "owner", "Time": 24, "Records": "no", "Job": "fixed", "Expenses": 45} | {
    "Income": 300, "Assets": 20000, "Debt": 0, "Amount": 500, "Price": 1500
}  # fmt: skip
PERSON = {"Seniority": 15, "Home": "owner", "Time": 36, "Records": "no", "Job": "fixed", "Expenses": 60} | {
    "Income": 400, "Assets": 6000, "Debt": 0, "Amount": 3000, "Price": 6000
}  # fmt: skip


async def submit(runtime: Runtime, payload: dict[str, object], lane: Lane = Lane.DIRECT) -> str:
    """A fresh task of the sample pilot."""
    kind = runtime.catalog.task_type("credit_review")
    return (await submit_task(runtime.engine, kind, payload, principal="ann", lane=lane)).task_id


async def run(runtime: Runtime, task_id: str) -> TaskStatus | None:
    """Move it on once; None where it is not to be had."""
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    return None if claim is None else await run_task(runtime, claim.lease, DIRECT, runtime.graphs())
