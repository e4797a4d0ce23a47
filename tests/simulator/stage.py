"""Where histories are played: a database whose clock can be moved, workers' clocks, and the product's own parts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psycopg
from langgraph.checkpoint import base
from langgraph.checkpoint.base import id as ids
from langgraph.pregel import _checkpoint as pregel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.load import Catalog, load_catalog
from domain import faults
from domain.memory import Recall
from guardrails.watched import WatchedThread
from orchestration.direct import run_direct
from orchestration.graph import Graphs, build_graphs
from orchestration.run import Runtime
from orchestration.stages import StageResult, Stages, hold_round
from storage.checkpoints import Pool, open_pool
from storage.engine import async_engine
from storage.migrations.run import upgrade
from tasks.policy import StagePolicy
from tests.simulator.pilot import write_pilots
from tests.simulator.turns import ACTOR, Died, GatedEngine, GatedSaver, Host, Turns
from tests.simulator.world import Simulated, World

EPOCH_NS = 1_800_000_000 * 10**9
# Unqualified names are looked for here first, in the product's statements and in the defaults of its columns.
_CLOCK = """
CREATE TABLE public.simulated_clock (ahead interval NOT NULL);
INSERT INTO public.simulated_clock VALUES (interval '0');
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE AS
  'SELECT pg_catalog.now() + ahead FROM public.simulated_clock';
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
  'SELECT pg_catalog.clock_timestamp() + ahead FROM public.simulated_clock';
GRANT SELECT, UPDATE ON public.simulated_clock TO PUBLIC;
"""
# This one names its own path: its entries have the time of the rows that are written with them.
_APPENDS = """
ALTER FUNCTION parley_audit_append(TEXT, BIGINT, TEXT, JSONB, TEXT[]) SET search_path = public, pg_catalog, pg_temp
"""
_ADVANCE = text("UPDATE simulated_clock SET ahead = ahead + make_interval(secs => :seconds)")


def make_database(server: str, name: str) -> str:
    """A migrated database with a clock that can be moved; returns its URL."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        connection.execute(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog')
        # No history takes the power from Postgres.
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    dsn = server.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_CLOCK)
    upgrade(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_APPENDS)
    return dsn


class NoMemory:
    """Recalls nothing."""

    async def recall(self, *_: Any) -> Recall:
        """Empty."""
        return Recall()


async def _without_waits(policy: StagePolicy, stage: Any, context: Any, arguments: tuple[Any, ...]) -> StageResult:
    """The direct lane; nobody waits before a further attempt."""
    return await run_direct(replace(policy, backoff_seconds=0.0, jitter=0.0), stage, context, arguments)


LANE = Stages(run=_without_waits, run_round=hold_round)


@dataclass
class Stage:
    """One process's parts; histories are played on it one after the other."""

    engine: AsyncEngine
    """Ungated: for what people and the recovery do, each in one turn."""
    pool: Pool
    catalog: Catalog
    turns: Turns
    slots: list[Graphs] = field(default_factory=list)
    ticks: int = 0
    seconds: float = 0.0
    """How far its clock was moved."""

    def idle(self) -> bool:
        """Whether no connection is in use."""
        pool: Any = self.pool
        checked_out = self.engine.sync_engine.pool.checkedout()  # type: ignore[attr-defined]
        return checked_out == 0 and len(pool._pool) == pool._nconns and not pool._waiting

    def runtime(self, world: World) -> Runtime:
        """What runs are given, to act on this world."""
        made = {name: Simulated(name, world) for name in ("world", "spare")}
        engine: Any = GatedEngine(self.engine, self.turns)
        # A call in flight is awaited until its turn comes, whatever the time on the wall.
        return Runtime(
            dsn="", engine=engine, checkpoints=self.pool, catalog=self.catalog, recaller=NoMemory(),
            cancel_grace_seconds=600.0, executors=lambda _: made,
        )  # fmt: skip

    @contextmanager
    def graphs(self) -> Iterator[Graphs]:
        """A pair of its own for each run, whose checkpoints wait for their turn."""
        made = self.slots.pop() if self.slots else self._build()
        try:
            yield made
        finally:
            self.slots.append(made)

    def _build(self) -> Graphs:
        savers = GatedSaver(self.pool), GatedSaver(self.pool)
        for saver in savers:
            saver.turns = self.turns
        return build_graphs(*savers)

    async def advance(self, seconds: float) -> None:
        """Move the database's clock."""
        self.seconds += seconds
        async with self.engine.begin() as connection:
            await connection.execute(_ADVANCE, {"seconds": seconds})

    def uuid6(self, **named: Any) -> ids.UUID:
        """LangGraph's id of a checkpoint, by the clock of the host that makes it."""
        actor = ACTOR.get()
        host = actor.host if actor is not None else Host("outside")
        self.ticks += 1
        moment = EPOCH_NS + int((self.seconds + host.ahead) * 10**9) + self.ticks * 10_000
        ids._last_v6_timestamp, kept = host.last, ids._last_v6_timestamp
        try:
            with mock.patch.object(ids, "time", SimpleNamespace(time_ns=lambda: moment)):
                return ids.uuid6(**named)
        finally:
            host.last, ids._last_v6_timestamp = ids._last_v6_timestamp, kept


def _at_once(_: Any, function: Any, *arguments: Any) -> "asyncio.Future[Any]":
    """What LangGraph gives to a thread (routes, which are pure) is done where it stands."""
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    try:
        done.set_result(function(*arguments))
    except Exception as error:
        done.set_exception(error)
    return done


async def _here(_: WatchedThread, job: Callable[[], Any], seconds: float) -> Any:
    """What filters do on a thread of theirs is done in the turn of who asked."""
    return job()


def _reach(point: str) -> None:
    actor = ACTOR.get()
    if actor is None:
        return
    actor.reached += 1
    if actor.dead or actor.dies_at == actor.reached:
        actor.dead = True
        actor.where = point
        raise Died(point)


@asynccontextmanager
async def open_stage(dsn: str, folder: Path) -> AsyncIterator[Stage]:
    """On a database that `make_database` made."""
    catalog = load_catalog(write_pilots(folder), dict.fromkeys(("world", "spare"), Simulated))
    engine, pool, turns = async_engine(dsn, size=12), await open_pool(dsn, size=6), Turns()
    stage = Stage(engine, pool, catalog, turns)
    turns.idle = stage.idle
    faults.watch(_reach)
    # LangGraph's own imports of the function.
    with ExitStack() as patched:
        patched.enter_context(mock.patch.object(asyncio.get_running_loop(), "run_in_executor", _at_once))
        patched.enter_context(mock.patch.object(WatchedThread, "run", _here))
        for module in (pregel, base):
            patched.enter_context(mock.patch.object(module, "uuid6", stage.uuid6))
        try:
            yield stage
        finally:
            faults.watch(None)
            await pool.close()
            await engine.dispose()
