"""What happens to a soak's stack: submits at an even rate, a person who answers, and the faults."""

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.soak.parts import Stack
from catalog.cases import Case
from control_plane.services import inbox
from domain.errors import AnswerRefused
from domain.task import Lane
from domain.task_type import TaskType
from orchestration import anchors
from orchestration.submission import submit_task

SUBMITTER, PERSON = "soak", "soak-person"
WORKER_SECONDS = 30.0
OUTAGE_EVERY = (5.0, 40.0)
OUTAGE_LASTS = (0.0, 3.0)
REPEATED = 0.05
"""Share of submits that are sent once more although they were acknowledged, as by a client that lost the answer."""
_AGAIN_SECONDS = 0.5
_TRACES_SECONDS = 5.0


@dataclass(frozen=True)
class Wanted:
    """One submit: its key, and how it is to be run."""

    key: str
    kind: TaskType
    case: Case
    lane: Lane


@dataclass
class Load:
    """What was submitted and what came of it, kept outside the database."""

    file: Path
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Task of each key."""
    wanted: dict[str, Wanted] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    """From the first try of each submit to its acknowledgement."""
    repeats: int = 0
    answered: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """Submits that failed although Postgres was there."""
    wrong: list[str] = field(default_factory=list)

    def note(self, key: str, task_id: str) -> None:
        """Keep an acknowledgement where no database can lose it."""
        standing = self.acknowledged.setdefault(key, task_id)
        if standing != task_id:
            self.wrong.append(f"the submit {key} was acknowledged as task {standing} and as task {task_id}")
        with self.file.open("a") as out:
            out.write(json.dumps([key, task_id]) + "\n")
            out.flush()
            os.fsync(out.fileno())


class Submitter:
    """Submits in this process, at an even rate, whatever happens to Postgres."""

    def __init__(self, stack: Stack, engine: AsyncEngine, load: Load, lots: random.Random) -> None:
        self._stack, self._engine, self.load, self._lots = stack, engine, load, lots
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, wanted: Callable[[int], Wanted], rate: float, until: float) -> None:
        """Submit until then, and wait until each is acknowledged."""
        begin, number = time.monotonic(), 0
        while time.monotonic() < until:
            self._start(wanted(number))
            number += 1
            await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
        await asyncio.gather(*self._running)

    def _start(self, one: Wanted) -> None:
        self.load.wanted[one.key] = one
        running = asyncio.create_task(self._submit(one, twice=self._lots.random() < REPEATED))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _submit(self, one: Wanted, twice: bool) -> None:
        begin = time.monotonic()
        await self._until_acknowledged(one)
        self.load.seconds.append(time.monotonic() - begin)
        if twice:
            self.load.repeats += 1
            await self._until_acknowledged(one)

    async def _until_acknowledged(self, one: Wanted) -> None:
        while True:
            began = time.monotonic()
            try:
                made = await submit_task(
                    self._engine,
                    one.kind,
                    one.case.payload,
                    principal=SUBMITTER,
                    lane=one.lane,
                    idempotency_key=one.key,
                )
            except DBAPIError as error:
                if not self._stack.database.away(began, time.monotonic(), _TRACES_SECONDS):
                    self.load.errors[f"{type(error.orig).__name__}: {str(error.orig)[:200]}"] += 1
                self.load.repeats += 1
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            self.load.note(one.key, made.task_id)
            return


async def answer(engine: AsyncEngine, load: Load) -> None:
    """A person: approves about half of what waits, and never gets to the rest."""
    while True:
        try:
            for asked in await inbox.open_approvals(engine):
                if int(asked["id"].replace("-", ""), 16) % 2:
                    choosing = asked["cause"] in inbox.CHOOSING
                    action = str(asked["shown"]["options"][0]) if choosing else None
                    await inbox.approve(
                        engine, asked["id"], principal=PERSON, reason="looked", action=action, digest=asked["digest"]
                    )
                    load.answered += 1
        except (DBAPIError, AnswerRefused):
            # Postgres was away, and the answer may or may not have been taken: what is open is looked up again.
            pass
        await asyncio.sleep(2.0)


async def anchor(engine: AsyncEngine, home: Path) -> None:
    """Heads of the audit chains leave the database every minute."""
    while True:
        await asyncio.sleep(60.0)
        try:
            await anchors.anchor(engine, home, None)
        except DBAPIError:
            # Postgres is away: the next one holds more.
            continue


async def kill_postgres(stack: Stack, lots: random.Random, until: float) -> None:
    """Kill Postgres at random times, and start it again."""
    while (wait := lots.uniform(*OUTAGE_EVERY)) < until - time.monotonic():
        await asyncio.sleep(wait)
        await asyncio.to_thread(stack.database.kill)
        await asyncio.sleep(lots.uniform(*OUTAGE_LASTS))
        await asyncio.to_thread(stack.database.start)


async def kill_worker(stack: Stack, until: float) -> None:
    """Kill the first worker again and again; the other one lives through all of it."""
    while time.monotonic() + WORKER_SECONDS < until:
        await asyncio.sleep(WORKER_SECONDS)
        await asyncio.to_thread(stack.workers[0].kill)


async def supervise(stack: Stack, told: Callable[[], None]) -> None:
    """Start anew what ended by itself."""
    while True:
        await asyncio.to_thread(stack.look)
        told()
        await asyncio.sleep(2.0)


def mixed(
    kinds: Sequence[TaskType], cases: Sequence[Case], traced: float, called: float, lots: random.Random
) -> Callable[[int], Wanted]:
    """The n-th submit: a case in turn, its lane and its executor drawn."""

    def nth(number: int) -> Wanted:
        kind = kinds[1] if lots.random() < called else kinds[0]
        lane = Lane.TRACED if lots.random() < traced else Lane.DIRECT
        case = cases[number % len(cases)]
        return Wanted(f"soak-{number}", kind, case, lane)

    return nth
