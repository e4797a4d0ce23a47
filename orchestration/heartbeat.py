"""A worker's heartbeat, on a thread of its own: CPU work starves an event loop, and leases must not run out for it."""

import logging
import threading
from typing import Any

import psycopg

from domain.outage import Outage
from domain.settings import Settings
from orchestration.last_resort import LastResort
from storage.repositories.control import CANCELLED
from storage.roles import TAKE_ROLE
from storage.sessions import alive

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_BEAT = "UPDATE workers SET heartbeat_at = now() WHERE id = %s"
# A row that somebody has locked is renewed at the next beat: waiting for it would let all others run out.
_RENEW = (
    "UPDATE tasks SET lease_until = now() + make_interval(secs => %s) WHERE id IN (SELECT id FROM tasks "
    "WHERE lease_owner = %s AND lease_until >= now() AND id <> ALL(%s) FOR NO KEY UPDATE SKIP LOCKED)"
)
_CANCELLED = CANCELLED.format(owner="%s")


class Heartbeat:
    """Renews every lease of one worker while it runs, and ends the process that a cancelled task does not leave."""

    def __init__(self, dsn: str, worker_id: str, settings: Settings, last_resort: LastResort | None = None) -> None:
        self._dsn, self._worker_id, self._lease_seconds = dsn, worker_id, settings.lease_seconds
        self._last_resort = last_resort or LastResort(dsn, worker_id, settings)
        self._forgotten: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def forget(self, task_id: str) -> None:
        """Renew this task's lease no more."""
        self._forgotten.add(task_id)

    def remember(self, task_id: str) -> None:
        """The task was claimed anew: renew its lease again."""
        self._forgotten.discard(task_id)

    def stop(self) -> None:
        """End, and wait for the thread."""
        self._stop.set()
        self._thread.join(timeout=self._lease_seconds)

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Where the network is gone, an error in time rather than an answer too late."""
        patience = alive(self._dsn, self._lease_seconds / 3)
        return psycopg.connect(self._dsn, connect_timeout=5, autocommit=True, **patience)

    def _beat(self) -> None:
        outage, wait = Outage("heartbeats are missed", log.warning), self._lease_seconds / 3
        while not self._stop.wait(wait):
            try:
                with self._connect() as connection:
                    connection.execute(TAKE_ROLE)
                    connection.execute(_BEAT, (self._worker_id,))
                    connection.execute(_RENEW, (self._lease_seconds, self._worker_id, list(self._forgotten)))
                    cancelled = connection.execute(_CANCELLED, (self._worker_id,)).fetchall()
                self._last_resort.look((str(task_id), int(fence)) for task_id, fence in cancelled)
                outage.is_over()
                wait = self._lease_seconds / 3
            except psycopg.Error as error:
                # Postgres is away, and the leases run out by its own clock: no time is lost once it is back.
                outage.goes_on(error)
                wait = min(_RETRY_SECONDS, self._lease_seconds / 3)
