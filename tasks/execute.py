"""Execute: do the decided action once, by the ledger's five steps."""

from typing import Any

from domain.action import ActionRequest, ActionStatus, Executor, ExecutorKind
from domain.canonical import canonical_json, digest
from domain.errors import ExecutorRejected, LeaseLost
from domain.faults import reach
from domain.guard import Effect, Hop, Subject
from domain.task import SubtaskStatus
from domain.task_type import SubtaskSpec
from storage.repositories.actions import Ready, end_action, find_action, load_ready, take_action
from storage.repositories.approvals import consume_approval, latest_approval
from storage.repositories.tasks import set_subtask
from storage.tables import verdicts
from storage.unit_of_work import UnitOfWork
from tasks.bindings import chosen_option, is_bound
from tasks.context import StageContext
from tasks.policy import StagePolicy
from tasks.verdicts import verdict_row

REPEATABLE = frozenset({ExecutorKind.DEDUP, ExecutorKind.FENCED})


def policy_of(spec: SubtaskSpec) -> StagePolicy:
    """The retry rule that the task type gives the subtask."""
    return StagePolicy("execute", attempts=spec.retry.attempts, exponential=spec.retry.backoff == "exponential")


async def execute(context: StageContext, subtask_id: str) -> dict[str, Any]:
    """Act. Returns {ended: done | failed}. Raises ExecutorError where another attempt may help."""
    spec = context.task_type.subtask(subtask_id)
    executor = context.executors[spec.executor]
    async with context.work() as work:
        request = await _take(context, work, spec, executor)
    if isinstance(request, dict):
        return request
    reach("execute:before_call")
    response = await executor.execute(request)
    reach("execute:after_call")
    verdict = context.gate.judge(
        Subject(hop=Hop.RESPONSE, text=canonical_json(response), facts={"status": str(response.get("status", ""))})
    )
    if verdict.effect is not Effect.ALLOW:
        # The effect has happened; what the answer carries is withheld from the records.
        response = {"withheld": list(verdict.policy_ids), "digest": digest(response)}
    async with context.work(halted_too=True) as work:
        await end_action(work.connection, request, ActionStatus.DONE, response=canonical_json(response))
        row = verdict_row(context.task.id, f"response:{subtask_id}", verdict, subtask_id)
        await work.add(verdicts, row)
        await set_subtask(work.connection, context.task.id, subtask_id, SubtaskStatus.DONE, action=request.action)
        data = {"action": request.action, "executor": executor.name, "key": request.idempotency_key}
        await work.event(f"execute:{subtask_id}", "execute.done", data, subtask_id)
    return {"ended": "done"}


async def give_up(context: StageContext, subtask_id: str, error: str) -> dict[str, Any]:
    """Close an action whose attempts are used up. Returns {ended: failed}."""
    spec = context.task_type.subtask(subtask_id)
    kind = context.executors[spec.executor].kind
    async with context.work(halted_too=True) as work:
        await _fail(context, work, subtask_id, kind, error)
    return {"ended": "failed"}


async def _take(
    context: StageContext, work: UnitOfWork, spec: SubtaskSpec, executor: Executor
) -> ActionRequest | dict[str, Any]:
    ready = await load_ready(work.connection, context.task.id, spec.id)
    if ready.status is ActionStatus.DONE:
        return {"ended": "done"}
    if ready.status is ActionStatus.SENDING and executor.kind not in REPEATABLE:
        await _fail(context, work, spec.id, executor.kind, "an earlier send was interrupted; its effect is not known")
        return {"ended": "failed"}
    request = await _request(context, work, spec, ready)
    if not await take_action(work.connection, request, executor.name):
        raise LeaseLost(f"task {context.task.id}: the action {spec.id} is held by a newer run")
    return request


async def _request(context: StageContext, work: UnitOfWork, spec: SubtaskSpec, ready: Ready) -> ActionRequest:
    """What to do, as the guard allowed it. Raises ExecutorRejected where its verdict does not stand for now."""
    decision, verdict = ready.decision, ready.verdict
    if verdict is None or verdict.effect is not Effect.ALLOW:
        raise ExecutorRejected(f"subtask {spec.id}: the guard has not allowed its action")
    # What was sent once is sent again under the same key: it may have happened already.
    if ready.status is None and verdict.policy_hash != context.gate.policy_hash:
        raise ExecutorRejected(f"subtask {spec.id}: the policies have changed since the guard looked")
    approval = None
    if verdict.approval_id is not None:
        approval = await latest_approval(work.connection, context.task.id, spec.id)
        if approval is None or approval.id != verdict.approval_id or not is_bound(context, spec, decision, approval):
            raise ExecutorRejected(f"subtask {spec.id}: its approval was given for something else")
        await consume_approval(work.connection, approval.id)
    option = chosen_option(spec, decision, approval)
    if option is None:
        raise ExecutorRejected(f"subtask {spec.id}: nothing was decided")
    return ActionRequest(
        task_id=context.task.id,
        subtask_id=spec.id,
        idempotency_key=f"{context.task.id}/{spec.id}",
        action=option.action,
        arguments=option.arguments,
        fence=context.lease.fence,
        parameters=spec.executor_parameters,
    )


async def _fail(context: StageContext, work: UnitOfWork, subtask_id: str, kind: ExecutorKind, error: str) -> None:
    task_id = context.task.id
    found = await find_action(work.connection, task_id, subtask_id)
    doubtful = found is not None and found["status"] == ActionStatus.SENDING and kind not in REPEATABLE
    status = ActionStatus.UNKNOWN if doubtful else ActionStatus.FAILED
    if found is not None and found["status"] in (ActionStatus.INTENT, ActionStatus.SENDING):
        request = ActionRequest(
            task_id=task_id,
            subtask_id=subtask_id,
            idempotency_key=f"{task_id}/{subtask_id}",
            action="",
            arguments={},
            fence=context.lease.fence,
        )
        await end_action(work.connection, request, status, error=error[:500])
    await set_subtask(work.connection, task_id, subtask_id, SubtaskStatus.FAILED, reason=error[:500])
    await work.event(f"execute:{subtask_id}", f"execute.{status.value}", {"error": error[:500]}, subtask_id)
