"""The ledger's five steps, for what a subtask does and for what undoes it.

1. the intent, 2. taken for this run's fence as `sending`, 3. the target asked where an earlier send is in doubt,
4. the call with its key, 5. the end, written under the same fence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from domain.action import Ability, ActionRequest, ActionStatus, Askable, ExecutorKind
from domain.approval import EFFECT_UNKNOWN
from domain.errors import ExecutorError, ExecutorRejected, LeaseLost, SendInDoubt
from domain.faults import reach
from domain.task_type import SubtaskSpec
from storage.repositories.actions import FALLBACK, Standing, close_action, end_action, mark_sent, mark_unsent
from storage.repositories.actions import take_action as take_row
from storage.repositories.breakers import close_breaker, note_failure, take_probe
from storage.unit_of_work import UnitOfWork
from tasks.context import StageContext
from tasks.settle import ask, undo_of

MAX_ERROR = 500
# A breaker that opened for another task is looked at again at least this often.
_MAX_WAIT_SECONDS = 30.0

_OVERDUE = text(
    "SELECT clock_timestamp() + make_interval(secs => :seconds) > LEAST(deadline_at, COALESCE((SELECT "
    "CAST(p->>'deadline_at' AS timestamptz) FROM jsonb_array_elements(plan->'subtasks') p WHERE p->>'id' = :subtask), "
    "deadline_at)) + make_interval(secs => parked_seconds) FROM tasks WHERE id = :task"
)


@dataclass(frozen=True)
class Way:
    """An executor with its parameters."""

    executor: str
    parameters: Mapping[str, Any]
    fallback: bool = False

    @property
    def recorded(self) -> str:
        """As the action's row names it."""
        return f"{FALLBACK}{self.executor}" if self.fallback else self.executor


@dataclass(frozen=True)
class Step:
    """One action of a task: a subtask's own, or the one that undoes it."""

    id: str
    spec: SubtaskSpec
    ways: tuple[Way, ...]
    """The declared executor, then the fallback where there is one."""
    undoes: bool = False

    def abilities(self, context: StageContext) -> tuple[Ability, ...]:
        """Of each way's target. Raises ExecutorRejected."""
        return tuple(context.executors[way.executor].ability(way.parameters) for way in self.ways)


@dataclass(frozen=True)
class Taken:
    """An action that this run may carry out."""

    request: ActionRequest
    way: Way
    ability: Ability
    doubtful: bool
    """An earlier send may have happened."""
    wait_seconds: float
    """How long the target's "not there" is not to be believed yet."""
    failures: int
    """Of the target, in a row, up to now."""


@dataclass(frozen=True)
class Later:
    """Not now."""

    seconds: float
    why: str


def step_of(spec: SubtaskSpec) -> Step:
    """The subtask's own action."""
    own = Way(spec.executor, spec.executor_parameters)
    if spec.fallback is None:
        return Step(spec.id, spec, (own,))
    return Step(spec.id, spec, (own, Way(spec.fallback.executor, spec.fallback.parameters, fallback=True)))


def undo_step(spec: SubtaskSpec) -> Step:
    """The action that undoes the subtask's. Raises ExecutorRejected where the task type declares none."""
    if spec.compensate is None:
        raise ExecutorRejected(f"subtask {spec.id} declares no compensation")
    own = spec.compensate.executor is None
    executor, parameters = spec.compensate.executor or spec.executor, spec.compensate.parameters
    return Step(undo_of(spec.id), spec, (Way(executor, spec.executor_parameters if own else parameters),), undoes=True)


async def choose(work: UnitOfWork, step: Step, abilities: tuple[Ability, ...], standing: Standing) -> Way | Later:
    """Who acts: after a send in doubt only who sent it, else the first whose breaker lets it through."""
    ways = step.ways
    if standing.doubtful and standing.action is not None:
        recorded = standing.action.executor
        ways = tuple(way for way in ways if way.recorded == recorded)
        if not ways:
            return Later(_MAX_WAIT_SECONDS, f"its executor {recorded} is no longer declared")
    seconds, whys = _MAX_WAIT_SECONDS, []
    for way in ways:
        ability = abilities[step.ways.index(way)]
        breaker = standing.breakers.get(ability.target)
        if breaker is None or breaker.open_for is None:
            return way
        wait = step.spec.breaker.wait
        if await take_probe(work.connection, ability.target, wait):
            attempts = standing.action.attempts if standing.action else 0
            data = {"target": ability.target, "step": step.id}
            await work.event(
                f"breaker:{step.id}:{work.lease.fence}:{attempts}", "breaker.half_open", data, step.spec.id
            )
            return way
        seconds = min(seconds, max(0.2, wait.total_seconds() - breaker.open_for))
        whys.append(f"the breaker of {ability.target} is open: {breaker.note}")
    return Later(seconds, "; ".join(whys))


async def take(
    context: StageContext, work: UnitOfWork, step: Step, standing: Standing, request: ActionRequest
) -> Taken | Later:
    """Steps 1 and 2. Raises LeaseLost where a newer fence stands."""
    abilities = step.abilities(context)
    way = await choose(work, step, abilities, standing)
    if isinstance(way, Later):
        return way
    ability = abilities[step.ways.index(way)]
    request = request.model_copy(update={"parameters": dict(way.parameters)})
    asking = standing.doubtful and ability.kind is ExecutorKind.QUERY
    if not await take_row(work.connection, request, way.recorded, ability.kind, asking=asking):
        raise LeaseLost(f"task {context.task.id}: the action {step.id} is held by a newer run")
    if way.fallback:
        because = standing.breakers[abilities[0].target].note
        data = {"executor": way.executor, "instead_of": step.ways[0].executor, "because": because}
        await work.event(f"execute:{step.id}:fallback:{work.lease.fence}", "execute.fallback", data, step.spec.id)
    sent_ago = standing.action.sent_ago if standing.action else None
    breaker = standing.breakers.get(ability.target)
    return Taken(
        request=request,
        way=way,
        ability=ability,
        doubtful=standing.doubtful,
        wait_seconds=max(0.0, ability.max_send_seconds - (sent_ago or 0.0)) if asking else 0.0,
        failures=breaker.failures if breaker else 0,
    )


async def ask_first(context: StageContext, step: Step, taken: Taken) -> Taken | Later | dict[str, Any]:
    """Step 3: the response where it happened, else what may be sent. Raises ExecutorError where nobody can tell."""
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
    told = f"{type(error).__name__}: {error}"[:MAX_ERROR]
    async with context.work(halted_too=True) as work:
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


async def write_done(context: StageContext, work: UnitOfWork, step: Step, taken: Taken, response: str) -> None:
    """Step 5; a target that failed before works again. Raises LeaseLost."""
    await _mine(context, step, await end_action(work.connection, taken.request, ActionStatus.DONE, response=response))
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


async def too_late(work: UnitOfWork, step: Step, seconds: float) -> bool:
    """Whether waiting goes past the subtask's deadline. What undoes has the deadline of its subtask once more."""
    values: dict[str, Any] = {"task": work.lease.task_id, "subtask": step.spec.id, "seconds": seconds}
    if not step.undoes:
        return bool(await work.connection.scalar(_OVERDUE, values))
    return bool(
        await work.connection.scalar(
            text(
                "SELECT min(at) + :allowed < clock_timestamp() FROM events "
                "WHERE task_id = :task AND event = 'compensate.began'"
            ),
            {"task": work.lease.task_id, "allowed": step.spec.deadline or timedelta(minutes=5)},
        )
    )
