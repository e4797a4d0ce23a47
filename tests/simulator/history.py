"""One history: a task, runs, people and faults, in an order that the seed gives."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sqlalchemy import text

from control_plane.services import inbox
from control_plane.services.control import control
from domain.approval import DONE, NOT_DONE, QUESTIONS
from domain.errors import IdempotencyConflict, InputError, LeaseLost, ParleyError
from domain.task import END_STATES, Lane, Lease
from orchestration.recovery import recover, set_back
from orchestration.run import run_task
from orchestration.submission import submit_task
from storage.leases import claim_one
from storage.repositories.control import Control
from tests.simulator.pilot import ACTIONS, AMOUNTS, REPORTS, SHAPES, YEARS
from tests.simulator.stage import LANE, Stage
from tests.simulator.turns import ACTOR, Actor, Died, Host
from tests.simulator.world import World

LEASE_SECONDS = 30
CALM_ROUNDS = 60
_AT_ONCE = 3
_POINTS = 70
"""A run of one step reaches about so many kill points."""
_LOOK = text("SELECT status, due, pause_requested, cancel_requested, fence FROM tasks WHERE id = :id")
_RENEW = text(
    "UPDATE tasks SET lease_until = now() + make_interval(secs => :seconds) WHERE id = :id AND lease_owner = :owner "
    "AND lease_until >= now()"
)
_ASKED = text(
    "SELECT id, subtask_id, cause, digest, shown, status FROM approvals WHERE task_id = :id ORDER BY created_at, id"
)


@dataclass(frozen=True)
class Said:
    """An answer that was taken."""

    at: int
    approval: str
    principal: str
    subtask_id: str
    cause: str
    status: str
    option: str | None


@dataclass
class History:
    """What was played."""

    seed: int
    stage: Stage
    rng: Random = field(init=False)
    world: World = field(init=False)
    lines: list[str] = field(default_factory=list)
    task_id: str = ""
    shape: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    actors: list[Actor] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    ended: bool = False
    """A run came to an end state."""
    duplicated: bool = False
    """The same claim was run twice at once."""
    wrong: list[str] = field(default_factory=list)
    """What broke while it was played."""
    hosts: list[Host] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.world = World(Random(f"world {self.seed}"), self.stage.turns)
        self.hosts = [Host(f"host {number}", self.rng.choice((0, 0, -3600, 3600))) for number in range(3)]

    async def play(self) -> None:
        """From the submission to the end."""
        try:
            await self._submit()
            left = self.rng.randint(6, 40)
            while left > 0:
                await self._move()
                # What comes behind the end is worth a few moves.
                left -= 8 if self.ended else 1
            await self._calm()
        finally:
            await self._clear()

    def tell(self, line: str) -> None:
        """Put it in the history."""
        self.world.now += 1
        self.lines.append(f"{self.world.now:4} {line}")
        self._hear()

    def _hear(self) -> None:
        self.lines += [f"     . {line}" for line in self.world.told]
        self.world.told.clear()

    async def _submit(self) -> None:
        self.shape = self.rng.choice(list(SHAPES))
        choose = self.rng.choice
        self.payload = {"years": choose(YEARS), "reports": choose(REPORTS), "amount": choose(AMOUNTS)}
        self.task_id = await self._send(self.payload)
        self.world.name = self.task_id
        self.tell(f"ann submits {self.shape} {self.payload}")

    async def _send(self, payload: dict[str, Any]) -> str:
        kind = self.stage.catalog.task_type(self.shape)
        key = f"{self.seed}-{id(self)}"
        made = await submit_task(
            self.stage.engine, kind, payload, principal="ann", lane=Lane.DIRECT, seed=self.seed, idempotency_key=key
        )
        return made.task_id

    # ------------------------------------------------------------------------------------------ moves

    async def _move(self) -> None:
        moves: dict[Callable[[], Awaitable[None]], int] = {
            self._go_on: 60 if self._alive() else 0,
            self._start: 14 if len(self._alive()) < _AT_ONCE else 0,
            self._double: 1,
            self._kill: 4 if self._alive() else 0,
            self._pass_time: 12,
            self._control: 5,
            self._answer: 9,
            self._recover: 3,
            self._submit_again: 2,
            self._jump: 2,
        }
        await self.rng.choices(list(moves), list(moves.values()))[0]()

    def _alive(self) -> list[Actor]:
        return [one for one in self.actors if one.task is not None and not one.task.done()]

    async def _go_on(self) -> None:
        actor = self.rng.choice(self._alive())
        for _ in range(self.rng.choice((1, 2, 4, 8, 16, 32))):
            if not await self._turn(actor):
                return

    async def _turn(self, actor: Actor) -> bool:
        waiting = self.stage.turns.waiting_of(actor)
        if not waiting:
            return False
        waiter = self.rng.choice(waiting)
        self.tell(f"{actor.name}: {waiter.at}")
        stale = actor.lease is not None and actor.lease.fence < self.world.fence and waiter.at.endswith(" transaction")
        await self.stage.turns.let(waiter)
        self._hear()
        fresh = [one.at for one in self.stage.turns.waiting_of(actor) if one not in waiting]
        if stale and any(at.endswith("checkpoint") or " sends " in at for at in fresh):
            self.wrong.append(f"{actor.name} went on from `{waiter.at}`, though its fence was stale")
        return True

    async def _start(self, lease: Lease | None = None, host: Host | None = None, mortal: bool = True) -> Actor:
        actor = Actor(len(self.actors), host or self.rng.choice(self.hosts))
        if mortal and self.rng.random() < 0.45:
            actor.dies_at = self.rng.randint(1, _POINTS)
        actor.lease = lease
        self.actors.append(actor)
        self.tell(f"{actor.name} starts{' with a claim that has a run already' if lease else ''}")
        actor.task = asyncio.create_task(self._work(actor))
        await self.stage.turns.settle()
        return actor

    async def _double(self) -> None:
        held = [one for one in self._alive() if one.lease is not None]
        if held and len(self._alive()) < _AT_ONCE:
            self.duplicated = True
            await self._start(self.rng.choice(held).lease)

    async def _kill(self) -> None:
        await self._end(self.rng.choice(self._alive()))

    async def _end(self, actor: Actor) -> None:
        self.tell(f"{actor.name} is killed")
        actor.dead = True
        while waiting := self.stage.turns.waiting_of(actor):
            await self.stage.turns.let(waiting[0])

    async def _pass_time(self, seconds: float | None = None) -> None:
        if seconds is None:
            seconds = self.rng.choices((6, 20, 40, 65, 650, 3700), (6, 6, 10, 3, 1, 1))[0]
            # Heartbeats go on, or everything stands still meanwhile.
            beating = self._alive() if self.rng.random() < 0.4 else []
        else:
            beating = []
        for actor in beating:
            async with self.stage.engine.begin() as connection:
                values = {"seconds": LEASE_SECONDS + seconds, "id": self.task_id, "owner": actor.host.name}
                await connection.execute(_RENEW, values)
        await self.stage.advance(seconds)
        self.tell(f"{seconds} seconds pass, {'with' if beating else 'without'} heartbeats")

    async def _control(self) -> None:
        await self._ask(self.rng.choice((Control.CANCEL, Control.PAUSE, Control.PAUSE, Control.RESUME)))

    async def _ask(self, asked: Control) -> None:
        try:
            done = await control(self.stage.engine, self.task_id, asked, principal="bob", reason="simulated")
            told = "done" if done.changed else "stood already"
            if asked is Control.CANCEL and done.changed:
                self.world.cancelled = True
        except ParleyError as refused:
            told = f"refused ({type(refused).__name__})"
        self.tell(f"bob: {asked.value}: {told}")

    async def _answer(self) -> None:
        asked = await self._asked()
        if asked:
            principal = self.rng.choices(("bob", "eve", "ann"), (4, 4, 1))[0]
            await self._say(self.rng.choice(asked), principal, wrong=self.rng.random() < 0.1)

    async def _asked(self) -> list[Any]:
        async with self.stage.engine.connect() as connection:
            return list((await connection.execute(_ASKED, {"id": self.task_id})).all())

    async def _say(self, one: Any, principal: str, *, wrong: bool = False, kindly: bool = False) -> None:
        engine, why = self.stage.engine, {"principal": principal, "reason": "seen"}
        digest = "0" * 64 if wrong else one.digest
        option = self._option(one)
        refuse = one.cause not in QUESTIONS and not kindly and self.rng.random() < 0.25
        told = "refused" if refuse else f"approved {option or ''}".strip()
        try:
            if refuse:
                await inbox.refuse(engine, one.id, digest=digest, **why)
            else:
                await inbox.approve(engine, one.id, action=option, digest=digest, **why)
            status = "refused" if refuse else "approved"
            self.said.append(Said(self.world.now, one.id, principal, one.subtask_id, one.cause, status, option))
            if wrong or principal == "ann":
                self.wrong.append(f"an answer by {principal} was taken (wrong digest: {wrong})")
        except InputError as error:
            told += f", not taken ({type(error).__name__})"
        self.tell(f"{principal} answers {one.subtask_id} ({one.cause}): {told}")

    def _option(self, one: Any) -> str | None:
        if one.cause in QUESTIONS:
            # People say what is true.
            return DONE if self.world.did(one.subtask_id) else NOT_DONE
        return self.rng.choice(ACTIONS) if one.shown["action"] is None else None

    async def _recover(self) -> None:
        await recover(self.stage.engine)
        self.tell("the recovery looks")

    async def _submit_again(self) -> None:
        same = await self._send(self.payload)
        if same != self.task_id:
            self.wrong.append("the same submission made another task")
        try:
            await self._send({**self.payload, "amount": 1})
            self.wrong.append("another body was taken under the same idempotency key")
        except IdempotencyConflict:
            self.tell("ann submits it again, and another under the same key: the one stands, the other is refused")

    async def _jump(self) -> None:
        host = self.rng.choice(self.hosts)
        host.ahead = self.rng.choice((-3600, -60, 0, 60, 3600))
        # A clock that is set back hides behind LangGraph's memory of its last time, until the worker is started anew.
        host.last = None
        self.tell(f"{host.name} is started anew, its clock {host.ahead:+} s off")

    # ------------------------------------------------------------------------------------------ runs

    async def _work(self, actor: Actor) -> str:
        """As a worker does it: claim, run, and set back what failed."""
        ACTOR.set(actor)
        try:
            return await self._run(actor)
        except Died:
            self.world.told.append(f"{actor.name} died at {actor.where}")
            return "died"
        except LeaseLost:
            self.world.told.append(f"{actor.name} lost its lease")
            return "lost"
        finally:
            self.stage.turns.touch()

    async def _run(self, actor: Actor) -> str:
        runtime = self.stage.runtime(self.world)
        if actor.lease is None:
            claim = await claim_one(runtime.engine, actor.host.name, self.task_id, seconds=LEASE_SECONDS)
            if claim is None:
                self.world.told.append(f"{actor.name}: nothing to be had")
                return "nothing"
            actor.lease = claim.lease
            self.world.fence = max(self.world.fence, claim.lease.fence)
        try:
            with self.stage.graphs() as graphs:
                status = await run_task(runtime, actor.lease, LANE, graphs)
            self.ended |= status in END_STATES
        except LeaseLost:
            raise
        except Exception as error:
            self.wrong.append(f"{actor.name} failed by itself: {type(error).__name__}: {error}"[:300])
            await set_back(runtime.engine, actor.lease, error)
            return "failed"
        self.world.told.append(f"{actor.name} ends: {status.value}")
        return status.value

    # ------------------------------------------------------------------------------------------ the end

    async def _calm(self) -> None:
        """No more faults: what runs goes on to its end, and the task is worked on until it has ended."""
        self.tell("no more faults")
        self.world.calm = True
        for _ in range(4000):
            alive = self._alive()
            if not alive:
                break
            await self._turn(self.rng.choice(alive))
        else:
            self.wrong.append("a run does not end")
        for _ in range(CALM_ROUNDS):
            row = await self.look()
            if row.status in END_STATES:
                self.tell(f"the task has ended: {row.status}")
                return
            if row.pause_requested and not row.cancel_requested:
                await self._ask(Control.RESUME)
            for one in await self._asked():
                if one.status == "open":
                    # Who has answered already is told so.
                    several = self.stage.catalog.task_type(self.shape).asks.quorum > 1
                    for principal in ("eve", "bob", "zoe") if several else ("eve",):
                        await self._say(one, principal, kindly=True)
            await self._pass_time(40)
            await self._recover()
            actor = await self._start(host=self.rng.choice(self.hosts), mortal=False)
            while await self._turn(actor):
                pass
        self.wrong.append(f"the task does not come to its end: {tuple(await self.look())}")

    async def look(self) -> Any:
        async with self.stage.engine.connect() as connection:
            return (await connection.execute(_LOOK, {"id": self.task_id})).one()

    async def _clear(self) -> None:
        for actor in self._alive():
            await self._end(actor)
            if actor.task is not None:
                actor.task.cancel()
                await asyncio.gather(actor.task, return_exceptions=True)
        self._hear()
