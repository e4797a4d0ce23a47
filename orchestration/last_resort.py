"""The end of a process that a cancelled task does not leave: its loop is blocked, or its run cannot be cut off."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from domain.settings import Settings
from domain.task import Lease
from orchestration.cancelling import tell_cut
from storage.engine import async_engine
from storage.leases import sign_off

log = logging.getLogger(__name__)

EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: whoever supervises the worker starts it again."""


def end_process() -> NoReturn:
    """Nothing else of the process is waited for: what it does not do by itself is why it ends."""
    logging.shutdown()
    os._exit(EXIT_CODE)


class LastResort:
    """Looks from the heartbeat's thread, which runs where the event loop does not."""

    def __init__(self, dsn: str, owner: str, settings: Settings, end: Callable[[], object] = end_process) -> None:
        self._dsn, self._owner, self._end = dsn, owner, end
        # The loop sees a cancel within one look, waits, cuts off, and what was cut off gets as long again to end.
        self.patience = 2 * (settings.cancel_grace_seconds + settings.recover_seconds)
        self._since: dict[tuple[str, int], float] = {}

    def look(self, cancelled: Iterable[tuple[str, int]]) -> None:
        """End the process where one of these (task id, fence) has been here for longer than the patience."""
        now = time.monotonic()
        self._since = {one: self._since.get(one, now) for one in cancelled}
        late = [one for one, since in self._since.items() if now - since >= self.patience]
        stuck = [Lease(task_id=task_id, owner=self._owner, fence=fence) for task_id, fence in late]
        if not stuck:
            return
        log.error(
            "%s: cancelled, and not to be cut off within %.0f s: this worker ends, its tasks go to others",
            ", ".join(one.task_id for one in stuck),
            self.patience,
        )
        try:
            asyncio.run(self._leave(stuck))
        except Exception as error:
            log.warning("what this worker holds is free when its leases run out: %s", error)
        self._end()

    async def _leave(self, stuck: Iterable[Lease]) -> None:
        engine = async_engine(self._dsn, size=1)
        try:
            for lease in stuck:
                await tell_cut(engine, lease, "run.worker_ended", {"patience_seconds": self.patience})
            async with engine.begin() as connection:
                await sign_off(connection, self._owner)
        finally:
            await engine.dispose()
