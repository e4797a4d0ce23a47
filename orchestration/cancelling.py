"""A cancelled task's run stops at its next look; what does not come to one is cut off past its grace."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.outage import Outage
from domain.settings import Settings
from domain.task import Lease
from orchestration.recovery import lock_mine
from storage.audit import write_event
from storage.leases import release
from storage.repositories.control import cancelled_of

log = logging.getLogger(__name__)


@dataclass
class _Held:
    lease: Lease
    running: asyncio.Task[Any]
    since: float | None = None
    """When its cancel was seen, by the loop's clock."""
    cut: bool = False


class CancelWatch:
    """Watches the runs of one owner of leases, on the loop that runs them."""

    def __init__(self, engine: AsyncEngine, owner: str, settings: Settings) -> None:
        self._engine, self._owner = engine, owner
        self._grace, self._look_seconds = settings.cancel_grace_seconds, settings.recover_seconds
        self._held: dict[str, _Held] = {}
        self._called = asyncio.Event()

    def hold(self, lease: Lease, running: asyncio.Task[Any]) -> None:
        """Watch this run."""
        self._held[lease.task_id] = _Held(lease, running)

    def let_go(self, lease: Lease) -> None:
        """It has ended."""
        held = self._held.get(lease.task_id)
        if held is not None and held.lease.fence == lease.fence:
            del self._held[lease.task_id]

    def has_cut(self, lease: Lease) -> bool:
        """Whether it was cut off, rather than ended with its worker."""
        held = self._held.get(lease.task_id)
        return held is not None and held.cut and held.lease.fence == lease.fence

    def call(self) -> None:
        """Somebody has cancelled something: look at once."""
        self._called.set()

    async def watch(self) -> None:
        """Look until cancelled, at every call and every few seconds."""
        outage = Outage("looking for what was cancelled fails", log.warning)
        while True:
            self._called.clear()
            try:
                await self._look()
                outage.is_over()
            except Exception as error:
                outage.goes_on(error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), self._wait())

    async def _look(self) -> None:
        """What undoes is not cut off: a cancelled task's row says when it has begun."""
        if not self._held:
            return
        async with self._engine.connect() as connection:
            cancelled = await cancelled_of(connection, self._owner)
        now = self._now()
        for held in self._held.values():
            if (held.lease.task_id, held.lease.fence) not in cancelled or held.cut:
                continue
            if held.since is None:
                held.since = now
            if now - held.since >= self._grace:
                held.cut = True
                held.running.cancel()

    def _wait(self) -> float:
        """Until the next grace is over, but no longer than a look lasts."""
        ends = [held.since + self._grace for held in self._held.values() if held.since is not None and not held.cut]
        return min([self._look_seconds, *(max(end - self._now(), 0.0) for end in ends)])

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def give_back(self, lease: Lease) -> None:
        """Give back what was cut off, and say so; what it left in doubt is settled by the run that ends the task."""
        log.warning("task %s was cancelled, and a call in flight was cut off", lease.task_id)
        await tell_cut(self._engine, lease, "run.cut_off", {"grace_seconds": self._grace})
        await release(self._engine, lease)


async def tell_cut(engine: AsyncEngine, lease: Lease, event: str, data: dict[str, Any]) -> None:
    """One event of a run that did not stop by itself, where it still is the task's."""
    async with engine.begin() as connection:
        if await lock_mine(connection, lease):
            key = event.replace(".", f":{lease.fence}:")
            await write_event(connection, lease.task_id, key, event, data, fence=lease.fence, actor=lease.owner)
