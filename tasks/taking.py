"""Taking an action: by whom it is carried out, and the first two steps of the ledger.

Targets whose breaker is open are left alone; after a send in doubt only who sent it goes on.
"""

from dataclasses import dataclass

from domain.action import Ability, ActionRequest, ExecutorKind
from domain.errors import LeaseLost
from storage.repositories.actions import Standing
from storage.repositories.actions import take_action as take_row
from storage.repositories.breakers import take_probe
from storage.unit_of_work import UnitOfWork
from tasks.context import StageContext
from tasks.steps import Step, Way

# A breaker that opened for another task is looked at again at least this often.
_MAX_WAIT_SECONDS = 30.0


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
