"""The worker: claims due tasks by their lease and runs many on one event loop."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.errors import LeaseLost
from domain.outage import Outage
from domain.settings import Settings
from domain.task import Lane
from orchestration.anchoring import keep_anchored
from orchestration.cancelling import CancelWatch
from orchestration.graph import Graphs
from orchestration.heartbeat import Heartbeat
from orchestration.notices import keep_notified
from orchestration.recovery import is_outage, recover, set_back
from orchestration.run import Runtime
from orchestration.standalone import owner_name
from storage.leases import CHANNEL, Claim, claim, sign_off
from storage.sessions import alive

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_SIGN_ON = text("INSERT INTO workers (id, pid, host) VALUES (:id, :pid, :host) ON CONFLICT DO NOTHING")

RunClaim = Callable[[Runtime, Claim, Graphs], Awaitable[object]]


class Worker:
    """One long-lived claimant. `runners` says how each lane runs a claimed task."""

    def __init__(self, runtime: Runtime, settings: Settings, runners: Mapping[Lane, RunClaim]) -> None:
        self.id = owner_name()
        self._runtime, self._settings, self._runners = runtime, settings, runners
        self._heartbeat = Heartbeat(runtime.dsn, self.id, settings)
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._cancels = CancelWatch(runtime.engine, self.id, settings)
        self._claiming = Outage("claiming fails", log.warning)
        self._slots = [runtime.graphs() for _ in range(settings.worker_concurrency)]

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what runs has ended."""
        self._stop.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped."""
        await self._register()
        self._heartbeat.start()
        loops = [asyncio.create_task(work) for work in (self._listen(), self._recover(), self._cancels.watch())]
        loops.append(asyncio.create_task(keep_anchored(self._runtime.dsn, self._settings)))
        loops.append(asyncio.create_task(keep_notified(self._runtime.engine, self._runtime.catalog, self._settings)))
        try:
            while not self._stop.is_set():
                await self._round()
            await asyncio.gather(*self._running, return_exceptions=True)
        finally:
            for one in (*loops, *self._running):
                one.cancel()
            await asyncio.gather(*loops, *self._running, return_exceptions=True)
            self._heartbeat.stop()
            await self._sign_off()

    async def _round(self) -> None:
        self._wake.clear()
        claims: tuple[Claim, ...] = ()
        if self._slots:
            try:
                claims = await claim(
                    self._runtime.engine,
                    self.id,
                    seconds=self._settings.lease_seconds,
                    limit=len(self._slots),
                    lanes=list(self._runners),
                    limits=self._runtime.catalog.limits(),
                )
                self._claiming.is_over()
            except Exception as error:
                # Postgres is away; claiming is tried again at the next wake.
                self._claiming.goes_on(error)
        for one in claims:
            self._heartbeat.remember(one.lease.task_id)
            running = asyncio.create_task(self._run_claim(one, self._slots.pop()))
            self._running.add(running)
            self._cancels.hold(one.lease, running)
            running.add_done_callback(self._running.discard)
        if self._stop.is_set():
            return
        try:
            await asyncio.wait_for(self._wake.wait(), timeout=1.0)
        except TimeoutError:
            return

    async def _run_claim(self, one: Claim, graphs: Graphs) -> None:
        try:
            await self._runners[one.lane](self._runtime, one, graphs)
        except LeaseLost as error:
            log.warning("%s", error)
        except asyncio.CancelledError as error:
            if not self._cancels.has_cut(one.lease):
                raise
            await self._set_back(one, error)
        except Exception as error:
            log.exception("task %s: the run failed", one.lease.task_id)
            await self._set_back(one, error)
        finally:
            self._cancels.let_go(one.lease)
            self._slots.append(graphs)
            self._wake.set()

    async def _set_back(self, one: Claim, error: BaseException) -> None:
        """Give the task back, as soon as Postgres is there: a lease that runs out looks like a worker that died."""
        while True:
            try:
                if isinstance(error, asyncio.CancelledError):
                    await self._cancels.give_back(one.lease)
                else:
                    await set_back(self._runtime.engine, one.lease, error)
                return
            except Exception as failure:
                if self._stop.is_set() or not is_outage(failure):
                    # The lease runs out by itself, once this worker stops renewing it.
                    self._heartbeat.forget(one.lease.task_id)
                    log.warning("task %s could not be set back: %s", one.lease.task_id, failure)
                    return
                await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        outage = Outage("listening fails", log.warning)
        while True:
            try:
                dsn = self._runtime.dsn
                async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, **alive(dsn)) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    outage.is_over()
                    async for notice in connection.notifies():
                        self._wake.set()
                        if notice.payload:
                            self._cancels.call()
                if self._runtime.feed is not None:
                    await self._runtime.feed.forget()
            except (psycopg.Error, DBAPIError) as error:
                outage.goes_on(error)
                await asyncio.sleep(1.0)

    async def _recover(self) -> None:
        outage = Outage("recovery fails", log.warning)
        while True:
            try:
                if await recover(self._runtime.engine):
                    self._wake.set()
                outage.is_over()
            except Exception as error:
                outage.goes_on(error)
            await asyncio.sleep(self._settings.recover_seconds)

    async def _register(self) -> None:
        """Sign on, however long Postgres is away. A commit that went unheard may stand already."""
        values = {"id": self.id, "pid": os.getpid(), "host": socket.gethostname()}
        outage = Outage("signing on fails", log.warning)
        while not self._stop.is_set():
            try:
                async with self._runtime.engine.begin() as connection:
                    await connection.execute(_SIGN_ON, values)
            except Exception as error:
                if not is_outage(error):
                    raise
                outage.goes_on(error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                outage.is_over()
                return

    async def _sign_off(self) -> None:
        try:
            async with self._runtime.engine.begin() as connection:
                await sign_off(connection, self.id)
        except DBAPIError as error:
            log.warning("signing off failed, what this worker holds is free when its lease runs out: %s", error)
