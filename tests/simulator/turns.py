"""Whose turn it is: of everything that runs, one goes on at a time, from one gate to the next."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from langgraph.checkpoint.base import CheckpointTuple
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.faults import NODE
from storage.checkpoints import FencedSaver

_LOOK_SECONDS = 0.002


class Died(BaseException):
    """Stands for SIGKILL: nothing that handles errors handles it."""


@dataclass
class Host:
    """A worker's machine, with a clock of its own."""

    name: str
    ahead: int = 0
    """Seconds that its clock is ahead of the truth."""
    last: int | None = None
    """The last time that LangGraph took from it."""


@dataclass
class Actor:
    """One run by one worker."""

    number: int
    host: Host
    dies_at: int | None = None
    """It dies at so many-th kill point that it reaches."""
    reached: int = 0
    dead: bool = False
    where: str = "start"
    lease: Any = None
    task: "asyncio.Task[str] | None" = None

    @property
    def name(self) -> str:
        """How the history calls it."""
        return f"run {self.number} on {self.host.name}"


@dataclass
class Waiter:
    """Something that waits for its turn."""

    actor: Actor
    at: str
    order: tuple[Any, ...]
    go: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


ACTOR: ContextVar[Actor | None] = ContextVar("simulated_actor", default=None)
_THREAD: ContextVar[str] = ContextVar("simulated_thread", default="")


class Turns:
    """The gates. `idle` says whether no exchange with the database is under way."""

    def __init__(self) -> None:
        self.idle: Callable[[], bool] = lambda: True
        self.free = False
        """Every gate is open."""
        self.waiting: list[Waiter] = []
        self._connections: dict[Any, list[AsyncConnection]] = {}
        self._changed = asyncio.Event()
        self._arrivals = 0

    async def gate(self, point: str) -> None:
        """Wait for a turn, unless a transaction is open: a lock that is held while another one runs stops both."""
        actor = ACTOR.get()
        if actor is None:
            return
        if actor.dead:
            raise Died(point)
        if self.free or self._holds():
            return
        self._arrivals += 1
        thread = _THREAD.get().partition("/")[2]
        at = " ".join(filter(None, (thread, NODE.get() or "", point)))
        waiter = Waiter(actor, at, (actor.number, thread, self._arrivals))
        self.waiting.append(waiter)
        self._changed.set()
        try:
            await waiter.go
        finally:
            if waiter in self.waiting:
                self.waiting.remove(waiter)
        if actor.dead:
            raise Died(point)

    def waiting_of(self, actor: Actor) -> list[Waiter]:
        """What of this actor waits, in an order that is the same every time."""
        return sorted((one for one in self.waiting if one.actor is actor), key=lambda one: one.order)

    async def let(self, waiter: Waiter) -> None:
        """Its turn, up to where everything waits again."""
        self.waiting.remove(waiter)
        self._changed.clear()
        waiter.actor.where = waiter.at
        waiter.go.set_result(None)
        await self.settle()

    def touch(self) -> None:
        """An actor has ended."""
        self._changed.set()

    async def settle(self) -> None:
        """Until nothing runs: each coroutine waits at a gate, or for another one."""
        loop: Any = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass
        quiet = 0
        while quiet < 2:
            await asyncio.sleep(0)
            quiet = quiet + 1 if not loop._ready and self.idle() else 0

    def note(self, connection: AsyncConnection) -> None:
        """The current coroutine has this connection."""
        self._connections.setdefault(asyncio.current_task(), []).append(connection)

    def _holds(self) -> bool:
        task = asyncio.current_task()
        held = [one for one in self._connections.get(task, ()) if not one.closed]
        if held:
            self._connections[task] = held
        else:
            self._connections.pop(task, None)
        return bool(held)


class GatedEngine:
    """An engine each of whose transactions waits for its turn before it begins."""

    def __init__(self, engine: AsyncEngine, turns: Turns) -> None:
        self._engine, self._turns = engine, turns

    def connect(self) -> "_Gated":
        """As AsyncEngine.connect."""
        return _Gated(self._engine.connect(), self._turns)

    def begin(self) -> "_Gated":
        """As AsyncEngine.begin."""
        return _Gated(self._engine.begin(), self._turns)

    def execution_options(self, **options: Any) -> "GatedEngine":
        """As AsyncEngine.execution_options."""
        return GatedEngine(self._engine.execution_options(**options), self._turns)


class _Gated:
    def __init__(self, inner: Any, turns: Turns) -> None:
        self._inner, self._turns = inner, turns

    def __await__(self) -> Any:
        return self._connect().__await__()

    async def _connect(self) -> AsyncConnection:
        await self._turns.gate("transaction")
        connection: AsyncConnection = await self._inner
        self._turns.note(connection)
        return connection

    async def __aenter__(self) -> AsyncConnection:
        await self._turns.gate("transaction")
        connection: AsyncConnection = await self._inner.__aenter__()
        self._turns.note(connection)
        return connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._inner.__aexit__(kind, error, trace)


class GatedSaver(FencedSaver):
    """The product's saver, each of whose checkpoints waits for its turn."""

    turns: Turns

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        """Read; what follows in this coroutine belongs to this thread."""
        _THREAD.set(config["configurable"]["thread_id"])
        return await super().aget_tuple(config)

    async def aput(self, config: Any, *rest: Any) -> Any:
        """Write when its turn comes."""
        await self.turns.gate("checkpoint")
        return await super().aput(config, *rest)

    async def aput_writes(self, *given: Any) -> None:
        """In the background, in the turn of the node that wrote; a dead process writes nothing."""
        actor = ACTOR.get()
        if actor is not None and actor.dead:
            raise Died("writes")
        await super().aput_writes(*given)
