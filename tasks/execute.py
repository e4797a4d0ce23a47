"""Execute: do the decided action once, by the ledger's five steps."""

from dataclasses import dataclass
from typing import Any

from domain.action import ENDED_ACTION, ActionRequest, ActionStatus
from domain.errors import ExecutorRejected
from domain.guard import Effect
from domain.task import SubtaskStatus
from domain.task_type import SubtaskSpec
from storage.repositories.actions import Ready, load_ready
from storage.repositories.approvals import consume_approval, latest_approval
from storage.repositories.tasks import set_subtask
from storage.unit_of_work import UnitOfWork
from tasks import ledger
from tasks.bindings import chosen_option, is_bound
from tasks.context import StageContext
from tasks.ledger import CRASHED, Ended
from tasks.policy import StagePolicy
from tasks.steps import Step, step_of
from tasks.taking import Later, Taken, take


def policy_of(spec: SubtaskSpec, call_seconds: float = 15.0, stage: str = "execute") -> StagePolicy:
    """The retry rule that the task type gives the subtask, with time for a question and a call of so long."""
    exponential = spec.retry.backoff == "exponential"
    return StagePolicy(
        stage, attempts=spec.retry.attempts, exponential=exponential, timeout_seconds=2 * call_seconds + 30
    )


async def execute(context: StageContext, subtask_id: str) -> dict[str, Any]:
    """Act. Returns {ended: done | failed | unknown | later, seconds}; see tasks.ledger.act.

    Raises ExecutorError where another attempt may help.
    """
    return await ledger.act(context, _doing(context, subtask_id))


async def give_up(context: StageContext, subtask_id: str, error: str) -> dict[str, Any]:
    """Close an action whose attempts are used up. Returns {ended: failed | unknown}."""
    return await ledger.give_up(context, _doing(context, subtask_id), error)


def _doing(context: StageContext, subtask_id: str) -> "Doing":
    return Doing(context, step_of(context.task_type.subtask(subtask_id)))


@dataclass(frozen=True)
class Doing:
    """What a subtask decided."""

    context: StageContext
    step: Step

    async def begin(self, work: UnitOfWork) -> Taken | Later | Ended:
        """Take it, where it has not ended and its guard's word stands. Raises ExecutorRejected."""
        context, step = self.context, self.step
        abilities = step.abilities(context)
        ready = await load_ready(work.connection, context.task.id, step.id, [one.target for one in abilities])
        action = ready.standing.action
        if action is not None and action.status in ENDED_ACTION:
            if action.status is ActionStatus.FAILED:
                await self.failed(work, action.error or "its action failed")
            return {"ended": action.status.value}
        sender = next((at for at, way in enumerate(step.ways) if action and way.recorded == action.executor), 0)
        if not ready.standing.may_go_on(abilities[sender].kind):
            return await ledger.fail(context, work, self, CRASHED)
        if work.overdue or ready.halted:
            # No call starts past the task's deadline or behind a halt, a repeat no more than the first: what is in
            # doubt is for its target or a person to tell. Dispatch meets the same and ends the task.
            return {"ended": "later", "seconds": 0.0}
        request = await _request(context, work, step.spec, ready)
        return await take(context, work, step, ready.standing, request)

    async def done(self, work: UnitOfWork, taken: Taken) -> None:
        """The subtask is done."""
        await write_done(work, self.step.id, taken.request, taken.way.recorded)

    async def failed(self, work: UnitOfWork, error: str) -> None:
        """The subtask has failed."""
        step = self.step
        await set_subtask(work.connection, self.context.task.id, step.id, SubtaskStatus.FAILED, reason=error)
        await work.event(f"execute:{step.id}", "execute.failed", {"error": error}, step.id)


async def write_done(work: UnitOfWork, subtask_id: str, request: ActionRequest, executor: str) -> None:
    """The subtask's action is done, and so is the subtask."""
    await set_subtask(work.connection, request.task_id, subtask_id, SubtaskStatus.DONE, action=request.action)
    data = {"action": request.action, "executor": executor, "key": request.idempotency_key}
    await work.event(f"execute:{subtask_id}", "execute.done", data, subtask_id)


async def _request(context: StageContext, work: UnitOfWork, spec: SubtaskSpec, ready: Ready) -> ActionRequest:
    """What to do, as the guard allowed it. Raises ExecutorRejected where its verdict does not stand for now."""
    decision, verdict = ready.decision, ready.verdict
    if verdict is None or verdict.effect is not Effect.ALLOW:
        raise ExecutorRejected(f"subtask {spec.id}: the guard has not allowed its action")
    # What may have been sent is sent again under the same key: it may have happened already.
    if not ready.standing.doubtful and verdict.policy_hash != context.gate.policy_hash:
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
