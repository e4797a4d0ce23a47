"""What was consented to, or judged, is not what would be carried out: arguments or policies have changed since."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from domain.task import TaskStatus
from guardrails.redteam.scenarios import PILOT, PILOTS, claim
from orchestration.direct import run_direct
from orchestration.redteam.desk import Desk
from orchestration.redteam.person import answer
from orchestration.stages import StageResult, Stages, hold_round
from tasks.context import StageContext
from tasks.policy import StagePolicy

FORBID = """
@id("RD-900")
@effect("deny")
@reason("Refunds are stopped for now")
@owner("refunds")
forbid (principal, action == Action::"arguments", resource)
when { context.action == "refund" };
"""
_TAMPER = (
    "UPDATE decisions SET body = jsonb_set(body, '{option}', "
    """'{"name": "refund more", "action": "refund", "arguments": {"amount": 79.0}}') """
    "WHERE task_id = :id AND subtask_id = 'settle'"
)


class Stopped(Exception):
    """Stands for a worker that dies."""


async def approval_replayed_with_other_arguments(desk: Desk) -> str | None:
    """A person consents, and the decision is changed before it is judged again: a person is asked anew."""
    task_id = await _large(desk, 910)
    await _consent(desk, task_id)
    await desk.execute(_TAMPER, id=task_id)
    status = await desk.run(task_id)
    waiting = await desk.waiting(task_id)
    if await desk.settled(task_id):
        return "what nobody consented to was carried out"
    asked = [row["shown"]["arguments"] for row in waiting]
    return None if status is TaskStatus.PARKED and asked == [{"amount": 79.0}] else f"{status.value}, asked: {asked}"


async def approval_replayed_before_acting(desk: Desk) -> str | None:
    """The decision is changed between the guard's last word and the action: nothing is carried out."""
    task_id = await _large(desk, 911)
    await _consent(desk, task_id)
    await _until_acting(desk, task_id)
    await desk.execute(_TAMPER, id=task_id)
    return await _refused(desk, desk, task_id)


async def approval_for_another_task(desk: Desk) -> str | None:
    """The answer to one request is given to another: it is not taken."""
    one, other = await _large(desk, 912), await _large(desk, 913)
    [mine], [theirs] = await desk.waiting(one), await desk.waiting(other)
    if await answer(desk.runtime.engine, mine, digest=theirs["digest"]):
        return "an answer to something else was taken"
    await desk.run(one)
    return "it was carried out" if await desk.settled(one) else None


async def policy_swapped_before_acting(desk: Desk) -> str | None:
    """The policies are changed between the guard's verdict and the action: the old verdict does not carry."""
    task_id = await desk.submit(claim(915, "TS"))
    await _until_acting(desk, task_id)
    async with _stricter(desk) as changed:
        return await _refused(desk, changed, task_id)


async def policy_swapped_after_consent(desk: Desk) -> str | None:
    """A person consents, and the policies are changed before the run goes on: the consent was to other policies."""
    task_id = await _large(desk, 914)
    await _consent(desk, task_id)
    async with _stricter(desk) as changed:
        status = await changed.run(task_id)
    if await desk.settled(task_id):
        return "it was carried out under policies that forbid it"
    return None if status in (TaskStatus.DENIED, TaskStatus.PARKED) else f"it ended as {status.value}"


async def _large(desk: Desk, number: int) -> str:
    """A claim that the honest panel grants and that needs a person; parked."""
    order = {**claim(number, "TS"), "condition": "damaged", "days": 3, "earlier": 0, "asked": 60.0, "paid": 80.0}
    task_id = await desk.submit(order)
    await desk.run(task_id)
    return task_id


async def _consent(desk: Desk, task_id: str) -> None:
    for asked in await desk.waiting(task_id):
        await answer(desk.runtime.engine, asked)


async def _until_acting(desk: Desk, task_id: str) -> None:
    """Run as far as the settling's action, and die there."""
    with suppress(Stopped):
        await desk.run(task_id, Stages(run=_die_at_settling, run_round=hold_round))


async def _die_at_settling(
    policy: StagePolicy,
    stage: Callable[..., Awaitable[StageResult]],
    context: StageContext,
    arguments: tuple[Any, ...],
) -> StageResult:
    if policy.stage == "execute" and arguments == ("settle",):
        raise Stopped
    return await run_direct(policy, stage, context, arguments)


async def _refused(desk: Desk, going_on: Desk, task_id: str) -> str | None:
    if await desk.settled(task_id):
        return "it was carried out before anything was changed"
    status = await going_on.run(task_id)
    if await desk.settled(task_id):
        return "the old verdict carried"
    return None if status in (TaskStatus.FAILED, TaskStatus.DENIED, TaskStatus.PARKED) else f"ended as {status.value}"


@asynccontextmanager
async def _stricter(desk: Desk) -> AsyncIterator[Desk]:
    """The desk once somebody has put a stricter file in the place of its policies."""
    with tempfile.TemporaryDirectory(prefix="parley-redteam-") as folder:
        catalog = Path(folder) / "pilots"
        shutil.copytree(PILOTS, catalog)
        file = catalog / PILOT / "policies.cedar"
        file.write_text(file.read_text(encoding="utf-8") + FORBID, encoding="utf-8")
        yield desk.under(catalog)
