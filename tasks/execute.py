"""Execute: do the decided action once, by the ledger's five steps."""

from typing import Any

from domain.action import ENDED_ACTION, ActionRequest, ActionStatus, ExecutorKind
from domain.canonical import canonical_json, digest
from domain.errors import ExecutorError, ExecutorRejected
from domain.guard import Effect, Verdict
from domain.task import SubtaskStatus
from domain.task_type import SubtaskSpec
from storage.repositories.actions import Ready, load_ready
from storage.repositories.approvals import consume_approval, latest_approval
from storage.repositories.tasks import set_subtask
from storage.tables import verdicts
from storage.unit_of_work import UnitOfWork
from tasks.bindings import chosen_option, is_bound
from tasks.context import StageContext
from tasks.ledger import (
    Later,
    Step,
    Taken,
    ask_first,
    call,
    give_up_on,
    note_error,
    step_of,
    take,
    too_late,
    write_done,
)
from tasks.passage import pass_gate
from tasks.policy import StagePolicy
from tasks.subjects import response_subject
from tasks.verdicts import verdict_row

CRASHED = "an earlier send was interrupted, and its target can neither be asked nor sent it again"


def policy_of(spec: SubtaskSpec) -> StagePolicy:
    """The retry rule that the task type gives the subtask."""
    return StagePolicy("execute", attempts=spec.retry.attempts, exponential=spec.retry.backoff == "exponential")


async def execute(context: StageContext, subtask_id: str) -> dict[str, Any]:
    """Act. Returns {ended: done | failed | unknown | later, seconds}.

    `unknown`: a person is asked what became of it. `later`: to be tried again after `seconds`.
    Raises ExecutorError where another attempt may help.
    """
    step = step_of(context.task_type.subtask(subtask_id))
    while True:
        async with context.work() as work:
            taken = await _take(context, work, step)
        if isinstance(taken, dict):
            return taken
        try:
            found = await ask_first(context, step, taken)
            if isinstance(found, Taken):
                taken = found
                found = await call(context, taken)
        except ExecutorError as error:
            left = await note_error(context, step, taken, error)
            if left == "opened":
                continue  # the breaker is open now: the fallback acts, or it waits
            if left == "retry":
                raise
            return await _ended(context, step, left, error)
        if isinstance(found, Later):
            return await _later(context, step, found)
        return await _finish(context, step, taken, found)


async def give_up(context: StageContext, subtask_id: str, error: str) -> dict[str, Any]:
    """Close an action whose attempts are used up. Returns {ended: failed | unknown}."""
    async with context.work(halted_too=True) as work:
        return await _fail(context, work, step_of(context.task_type.subtask(subtask_id)), error)


async def _take(context: StageContext, work: UnitOfWork, step: Step) -> Taken | dict[str, Any]:
    abilities = step.abilities(context)
    ready = await load_ready(work.connection, context.task.id, step.id, [one.target for one in abilities])
    action = ready.standing.action
    if action is not None and action.status in ENDED_ACTION:
        if action.status is ActionStatus.FAILED:
            await _close_subtask(context, work, step, action.error or "its action failed")
        return {"ended": action.status.value}
    sender = next((at for at, way in enumerate(step.ways) if action and way.recorded == action.executor), 0)
    if ready.standing.doubtful and abilities[sender].kind is ExecutorKind.BLIND:
        return await _fail(context, work, step, CRASHED)
    if (work.overdue or ready.halted) and action is None:
        # No call starts past the task's deadline or behind a halt; dispatch meets the same and ends the task.
        return {"ended": "later", "seconds": 0.0}
    request = await _request(context, work, step.spec, ready)
    taken = await take(context, work, step, ready.standing, request)
    return await _wait(context, work, step, taken) if isinstance(taken, Later) else taken


async def _request(context: StageContext, work: UnitOfWork, spec: SubtaskSpec, ready: Ready) -> ActionRequest:
    """What to do, as the guard allowed it. Raises ExecutorRejected where its verdict does not stand for now."""
    decision, verdict = ready.decision, ready.verdict
    if verdict is None or verdict.effect is not Effect.ALLOW:
        raise ExecutorRejected(f"subtask {spec.id}: the guard has not allowed its action")
    # What was sent once is sent again under the same key: it may have happened already.
    if ready.standing.action is None and verdict.policy_hash != context.gate.policy_hash:
        raise ExecutorRejected(f"subtask {spec.id}: the policies have changed since the guard looked")
    approval = None
    if verdict.approval_id is not None:
        approval = await latest_approval(work.connection, context.task.id, spec.id)
        if approval is None or approval.id != verdict.approval_id or not is_bound(context, spec, decision, approval):
            raise ExecutorRejected(f"subtask {spec.id}: its approval was given for something else")
        await consume_approval(work.connection, approval.id)
    option = verdict.instead or chosen_option(spec, decision, approval)
    if option is None:
        raise ExecutorRejected(f"subtask {spec.id}: nothing was decided")
    return ActionRequest(
        task_id=context.task.id,
        subtask_id=spec.id,
        idempotency_key=f"{context.task.id}/{spec.id}",
        action=option.action,
        arguments=option.arguments,
        fence=context.lease.fence,
    )


async def judged(
    context: StageContext, subtask_id: str, executor: str, response: dict[str, Any]
) -> tuple[Verdict, dict[str, Any]]:
    """The verdict on a response, and what of it may be kept."""
    passage = await pass_gate(context.gate, response, lambda value: response_subject(subtask_id, executor, value))
    if passage.verdict.effect is not Effect.ALLOW:
        # The effect has happened; what the answer carries is withheld from the records.
        return passage.verdict, {"withheld": list(passage.verdict.policy_ids), "digest": digest(response)}
    return passage.verdict, passage.value


async def _finish(context: StageContext, step: Step, taken: Taken, response: dict[str, Any]) -> dict[str, Any]:
    verdict, kept = await judged(context, step.id, taken.way.executor, response)
    request = taken.request
    async with context.work(halted_too=True) as work:
        await write_done(context, work, step, taken, canonical_json(kept))
        await work.add(verdicts, verdict_row(context.task.id, f"response:{step.id}", verdict, step.id))
        await set_subtask(work.connection, context.task.id, step.id, SubtaskStatus.DONE, action=request.action)
        data = {"action": request.action, "executor": taken.way.recorded, "key": request.idempotency_key}
        await work.event(f"execute:{step.id}", "execute.done", data, step.id)
    return {"ended": "done"}


async def _later(context: StageContext, step: Step, later: Later) -> dict[str, Any]:
    async with context.work(halted_too=True) as work:
        return await _wait(context, work, step, later)


async def _wait(context: StageContext, work: UnitOfWork, step: Step, later: Later) -> dict[str, Any]:
    """Wait where the deadline allows it."""
    if await too_late(work, step, later.seconds):
        return await _fail(context, work, step, f"its deadline passes while it waits: {later.why}")
    await work.event(f"execute:{step.id}:waits:{work.lease.fence}", "execute.waits", {"why": later.why}, step.id)
    return {"ended": "later", "seconds": later.seconds}


async def _ended(context: StageContext, step: Step, left: str, error: ExecutorError) -> dict[str, Any]:
    """Close the subtask of an action that has ended; one that a person is asked about stays open."""
    if left == "failed":
        async with context.work(halted_too=True) as work:
            await _close_subtask(context, work, step, f"{type(error).__name__}: {error}")
    return {"ended": left}


async def _fail(context: StageContext, work: UnitOfWork, step: Step, error: str) -> dict[str, Any]:
    left = await give_up_on(context, work, step, error)
    if left == "failed":
        await _close_subtask(context, work, step, error)
    return {"ended": left}


async def _close_subtask(context: StageContext, work: UnitOfWork, step: Step, error: str) -> None:
    await set_subtask(work.connection, context.task.id, step.id, SubtaskStatus.FAILED, reason=error[:500])
    await work.event(f"execute:{step.id}", "execute.failed", {"error": error[:500]}, step.id)
