"""The outside of one history: what was called, what took effect, and how it answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from pydantic import BaseModel

from domain.action import Ability, ActionRequest, ExecutorKind
from domain.errors import ExecutorError, ExecutorRejected, SendInDoubt
from domain.model import Frozen
from tests.simulator.turns import ACTOR, Turns

_MAX_SEND_SECONDS = 15.0
_KINDS = {"acts": 70, "fails": 9, "loses its answer": 9, "loses the request": 7, "rejects": 5}


@dataclass(frozen=True)
class Call:
    """One request to a target."""

    begun: int
    """When, in the history's steps."""
    step: str
    kind: ExecutorKind
    fence: int
    request: ActionRequest
    cancelled: bool
    """Whether a cancel was recorded when it began."""


@dataclass(frozen=True)
class Happened:
    """One effect."""

    at: int
    call: Call
    late: bool
    """Its sender's lease was gone by then."""


@dataclass
class World:
    """All targets."""

    rng: Random
    turns: Turns
    name: str = ""
    now: int = 0
    """The history's step."""
    fence: int = 0
    """The newest that was claimed."""
    cancelled: bool = False
    calm: bool = False
    """Every target works."""
    calls: list[Call] = field(default_factory=list)
    effects: list[Happened] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """For the history."""
    _newest: dict[str, int] = field(default_factory=dict)

    def did(self, step: str) -> int:
        """How often the step took effect."""
        return sum(one.call.step == step for one in self.effects)

    def arrive(self, call: Call, target: str) -> str:
        """The request is there: how the target takes it."""
        way = "acts" if self.calm else self.rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        if call.kind is ExecutorKind.FENCED:
            if call.fence < self._newest.get(target, 0):
                return "rejects"
            self._newest[target] = call.fence
        if way in ("acts", "loses its answer"):
            known = any(one.call.request.idempotency_key == call.request.idempotency_key for one in self.effects)
            if not (known and call.kind in (ExecutorKind.DEDUP, ExecutorKind.FENCED)):
                self.effects.append(Happened(self.now, call, late=call.fence < self.fence))
        return way


class SimulatedParameters(Frozen):
    """Of a simulated target."""

    kind: ExecutorKind
    target: str


class Simulated:
    """An executor of this world."""

    parameters: ClassVar[type[BaseModel]] = SimulatedParameters

    def __init__(self, name: str, world: World) -> None:
        self.name, self._world = name, world

    def ability(self, parameters: Mapping[str, Any]) -> Ability:
        """As the parameters have it; targets of two histories share nothing."""
        kind = ExecutorKind(parameters["kind"])
        seconds = _MAX_SEND_SECONDS if kind is ExecutorKind.QUERY else 0.0
        return Ability(kind=kind, target=f"{self._world.name}/{parameters['target']}", max_send_seconds=seconds)

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Send, arrive, answer: the run may die, or stand still, between them."""
        world, ability = self._world, self.ability(request.parameters)
        call = Call(world.now, request.subtask_id, ability.kind, request.fence, request, world.cancelled)
        world.calls.append(call)
        await world.turns.gate(f"sends {request.subtask_id}")
        way = world.arrive(call, ability.target)
        actor = ACTOR.get()
        world.told.append(f"{self.name} {way}: {request.subtask_id}, sent by {actor.name if actor else '?'}")
        if way == "fails":
            raise ExecutorError("it is away")
        if way == "rejects":
            raise ExecutorRejected("it refuses")
        if way != "acts":
            raise SendInDoubt(way)
        await world.turns.gate(f"hears of {request.subtask_id}")
        return {"status": "200"}

    async def find(self, request: ActionRequest) -> dict[str, Any] | None:
        """Only targets of the kind `query` can tell."""
        if self.ability(request.parameters).kind is not ExecutorKind.QUERY:
            raise ExecutorError("it cannot be asked")
        await self._world.turns.gate(f"asks for {request.subtask_id}")
        return {"status": "200", "asked": True} if self._world.did(request.subtask_id) else None
