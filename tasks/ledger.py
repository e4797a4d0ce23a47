"""The ledger's five steps, for what a subtask does and for what undoes it.

1. the intent, 2. taken for this run's fence as `sending`, 3. the target asked where an earlier send is in doubt,
4. the call with its key, 5. the end, written under the same fence.
"""

from dataclasses import replace
from typing import Any, Protocol

from domain.action import ActionStatus, Askable, ExecutorKind
from domain.approval import EFFECT_UNKNOWN
from domain.canonical import canonical_json, digest
from domain.errors import ExecutorError, ExecutorRejected, LeaseLost, SendInDoubt, TargetRefused
from domain.faults import reach
from domain.guard import Effect, Verdict
from storage.repositories.actions import close_action, end_action, mark_sent, mark_unsent
from storage.repositories.breakers import close_breaker, note_failure
from storage.tables import verdicts
from storage.unit_of_work import UnitOfWork
from tasks.context import StageContext
from tasks.passage import pass_gate
from tasks.settle import ask
from tasks.steps import Step, too_late
from tasks.subjects import response_subject
from tasks.taking import Later, Taken
from tasks.verdicts import verdict_row

CRASHED = "an earlier send was interrupted, and its target can neither be asked nor sent it again"
PAST_DEADLINE = "the task's deadline is over"
MAX_ERROR = 500


Ended = dict[str, Any]
"""{ended: done | failed | unknown | later, seconds}"""


class Deed(Protocol):
    """An action as `act` carries it out: what tells doing from undoing."""

    @property
    def step(self) -> Step:
        """What acts."""
        ...

    async def begin(self, work: UnitOfWork) -> Taken | Later | Ended:
        """Steps 1 and 2, or why there is nothing to do."""
        ...

    async def done(self, work: UnitOfWork, taken: Taken) -> None:
        """What its success means for the task, in the transaction that writes it."""
        ...

    async def failed(self, work: UnitOfWork, error: str) -> None:
        """What its failure means for the task."""
        ...


async def act(context: StageContext, deed: Deed) -> Ended:
    """Take the action, ask its target where that is due, call it, and note how it went.

    `unknown`: a person is asked what became of it. `later`: to be tried again after `seconds`.
    Raises ExecutorError where another attempt may help.
    """
    step = deed.step
    while True:
        async with context.work(halted_too=step.undoes) as work:
            taken = await deed.begin(work)
            if isinstance(taken, Later):
                return await _wait(context, work, deed, taken)
        if isinstance(taken, dict):
            return taken
        try:
            found = await ask_first(context, step, taken)
            if found is None:
                continue  # the deed looks at its task anew
            if isinstance(found, Taken):
                taken = found
                found = await call(context, taken)
        except ExecutorError as error:
            left = await note_error(context, step, taken, error)
            if left == "opened":
                continue  # the breaker is open now: the fallback acts, or it waits
            if left == "retry":
                raise
            return {"ended": left} if left == "unknown" else await give_up(context, deed, told_of(error))
        if isinstance(found, Later):
            async with context.work(halted_too=True) as work:
                return await _wait(context, work, deed, found)
        return await _finish(context, deed, taken, found)


async def give_up(context: StageContext, deed: Deed, error: str) -> Ended:
    """Try no more. Returns {ended: failed | unknown}."""
    async with context.work(halted_too=True) as work:
        return await fail(context, work, deed, error)


async def fail(context: StageContext, work: UnitOfWork, deed: Deed, error: str) -> Ended:
    """The same in a transaction under way."""
    left = await give_up_on(context, work, deed.step, error)
    if left == "failed":
        await deed.failed(work, error[:MAX_ERROR])
    return {"ended": left}


async def _wait(context: StageContext, work: UnitOfWork, deed: Deed, later: Later) -> Ended:
    """Wait where the deadline allows it."""
    step = deed.step
    if await too_late(work, step, later.seconds):
        return await fail(context, work, deed, f"its deadline passes while it waits: {later.why}")
    event = "compensate.waits" if step.undoes else "execute.waits"
    await work.event(f"execute:{step.id}:waits:{work.lease.fence}", event, {"why": later.why}, step.spec.id)
    return {"ended": "later", "seconds": later.seconds}


async def _finish(context: StageContext, deed: Deed, taken: Taken, response: dict[str, Any]) -> Ended:
    step = deed.step
    verdict, kept = await judged(context, step.spec.id, taken.way.executor, response)
    async with context.work(halted_too=True) as work:
        await _write_done(context, work, step, taken, canonical_json(kept))
        await work.add(verdicts, verdict_row(context.task.id, f"response:{step.id}", verdict, step.spec.id))
        await deed.done(work, taken)
    return {"ended": "done"}


async def judged(
    context: StageContext, subtask_id: str, executor: str, response: dict[str, Any]
) -> tuple[Verdict, dict[str, Any]]:
    """The verdict on a response, and what of it may be kept."""
    passage = await pass_gate(context.gate, response, lambda value: response_subject(subtask_id, executor, value))
    if passage.verdict.effect is not Effect.ALLOW:
        # The effect has happened; what the answer carries is withheld from the records.
        return passage.verdict, {"withheld": list(passage.verdict.policy_ids), "digest": digest(response)}
    return passage.verdict, passage.value


def told_of(error: BaseException) -> str:
    """As the records say it."""
    return f"{type(error).__name__}: {error}"[:MAX_ERROR]


async def ask_first(context: StageContext, step: Step, taken: Taken) -> Taken | Later | dict[str, Any] | None:
    """Step 3: the response where it happened, else what may be sent; None where nothing may be sent any more.

    Raises ExecutorError where nobody can tell.
    """
    if not (taken.doubtful and taken.ability.kind is ExecutorKind.QUERY):
        return taken
    executor = context.executors[taken.way.executor]
    if not isinstance(executor, Askable):
        raise ExecutorRejected(f"the executor {executor.name} declares a target that can be asked, and cannot ask")
    found = await executor.find(taken.request)
    if found is not None:
        return found
    if taken.wait_seconds > 0:
        return Later(taken.wait_seconds, "an earlier send may still be under way")
    async with context.work(halted_too=step.undoes) as work:
        if work.overdue and not step.undoes:
            # The deadline passed while the target was asked: as nothing was sent, no call starts any more.
            await _mine(context, step, await mark_unsent(work.connection, taken.request, PAST_DEADLINE))
            return None
        await _mine(context, step, await mark_sent(work.connection, taken.request))
    return replace(taken, doubtful=False)


async def call(context: StageContext, taken: Taken) -> dict[str, Any]:
    """Step 4: the target's response. Raises ExecutorError."""
    reach("execute:before_call")
    response = await context.executors[taken.way.executor].execute(taken.request)
    reach("execute:after_call")
    return response


async def note_error(context: StageContext, step: Step, taken: Taken, error: ExecutorError) -> str:
    """What a failed attempt leaves: retry, opened, failed or unknown."""
    told = told_of(error)
    async with context.work(halted_too=True) as work:
        if isinstance(error, TargetRefused):
            await _works_again(work, step, taken)
        if isinstance(error, ExecutorRejected) and taken.doubtful:
            # This send was refused, by the target or by us; an earlier one may stand.
            return await give_up_on(context, work, step, told)
        if isinstance(error, ExecutorRejected):
            await _mine(
                context, step, await end_action(work.connection, taken.request, ActionStatus.FAILED, error=told)
            )
            return "failed"
        if isinstance(error, SendInDoubt) and taken.ability.kind is ExecutorKind.BLIND:
            await give_up_on(context, work, step, told)
            await _count(work, step, taken, told)
            return "unknown"
        if not isinstance(error, SendInDoubt) and not taken.doubtful:
            await _mine(context, step, await mark_unsent(work.connection, taken.request, told))
        return "opened" if await _count(work, step, taken, told) else "retry"


async def _count(work: UnitOfWork, step: Step, taken: Taken, told: str) -> bool:
    target, limit = taken.ability.target, step.spec.breaker.failures
    opened = await note_failure(work.connection, target, limit, told)
    if opened:
        data = {"target": target, "error": told, "step": step.id}
        key = f"breaker:{target}:{step.id}:{work.lease.fence}:{taken.failures}"
        await work.event(key, "breaker.opened", data, step.spec.id)
    return opened


async def _mine(context: StageContext, step: Step, held: bool) -> None:
    if not held:
        raise LeaseLost(f"task {context.task.id}: the action {step.id} is held by a newer run")


async def _write_done(context: StageContext, work: UnitOfWork, step: Step, taken: Taken, response: str) -> None:
    """Step 5. Raises LeaseLost."""
    await _mine(context, step, await end_action(work.connection, taken.request, ActionStatus.DONE, response=response))
    await _works_again(work, step, taken)


async def _works_again(work: UnitOfWork, step: Step, taken: Taken) -> None:
    """A target that failed before has answered."""
    if taken.failures:
        await close_breaker(work.connection, taken.ability.target)
        if taken.failures >= step.spec.breaker.failures:
            data = {"target": taken.ability.target, "step": step.id}
            await work.event(f"breaker:{step.id}:{work.lease.fence}:closed", "breaker.closed", data, step.spec.id)


async def give_up_on(context: StageContext, work: UnitOfWork, step: Step, error: str) -> str:
    """Try the action no more: `unknown` and a question to a person where it may have happened, else `failed`."""
    told = error[:MAX_ERROR]
    ended = await close_action(work.connection, context.task.id, step.id, work.lease.fence, told)
    if ended is not ActionStatus.UNKNOWN:
        return "failed"
    await work.event(f"execute:{step.id}:unknown", "execute.unknown", {"error": told, "step": step.id}, step.spec.id)
    await ask(context, work, step.id, EFFECT_UNKNOWN, told)
    return "unknown"
