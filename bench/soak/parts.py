"""The parts of a soak's stack: they are killed on purpose, and started anew as a supervisor would."""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from deployments.plan import plain_dsn
from deployments.postgres import PostgresServer, plan_cluster, port_is_free, running_pid, start_cluster
from deployments.prefect_server import start_server, wait_healthy
from deployments.processes import Child, alive, start, stop, wait_until
from deployments.state import StackState, environment
from domain.errors import StackError
from domain.settings import ROOT
from storage.migrations.run import upgrade

WORKER = (sys.executable, "-m", "control_plane.cli.main", "worker")
_READY_SECONDS = 30.0
_START_SECONDS = 120.0
_MEBIBYTE = 1024 * 1024


def quiet_port(lots: random.Random) -> int:
    """A free port below those that clients are given: one of theirs may connect to itself while nobody listens."""
    while not port_is_free(port := lots.randrange(15_000, 32_000)):
        continue
    return port


class Database:
    """A Postgres on a fixed port that can be killed."""

    def __init__(self, folder: Path, port: int) -> None:
        self._logs = folder / "logs"
        self.cluster = plan_cluster(folder, None).model_copy(update={"port": port})
        self.kills = 0
        self.outages: list[tuple[float, float]] = []
        """From the kill until it answered again, by the monotonic clock."""
        self._down: float | None = None
        self.start()
        upgrade(self.cluster.dsn())

    @property
    def up(self) -> bool:
        """Whether nobody has killed it."""
        return self._down is None

    def kill(self) -> None:
        """SIGKILL the postmaster; its backends follow it."""
        pid = running_pid(self.cluster)
        if pid is None:
            raise StackError("Postgres ended by itself")
        self._down = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        self.kills += 1
        wait_until(lambda: running_pid(self.cluster) is None, 10)

    def start(self) -> None:
        """Start it and wait until it answers. Raises StackError where another took its port."""
        started = start_cluster(self.cluster, self._logs)
        if started.port != self.cluster.port:
            raise StackError(f"port {self.cluster.port} was taken while Postgres was down")
        with psycopg.connect(plain_dsn(self.cluster.dsn()), connect_timeout=10):
            if self._down is not None:
                self.outages.append((self._down, time.monotonic()))
                self._down = None

    def away(self, begin: float, end: float, after: float) -> bool:
        """Whether it was down at any time of the span; `after`: for so long after an outage its traces may show."""
        spans = [*self.outages, *([(self._down, end)] if self._down is not None else [])]
        return any(begin <= back + after and end >= gone for gone, back in spans)

    def discard(self) -> None:
        """Stop it and delete its data."""
        PostgresServer(self.cluster, self._logs / "postgres.log").discard()


@dataclass
class Prefect:
    """A Prefect server that is started anew when it ended, or answers no more though Postgres is there."""

    state: StackState
    ended: int = 0
    hung: int = 0
    _child: Child | None = None
    _well: float = 0.0

    def start(self) -> None:
        """Start it; it is healthy some seconds later."""
        self._child = start_server(self.state, os.environ)
        self._well = time.monotonic()

    def wait(self) -> None:
        """Wait until it is healthy."""
        wait_healthy(self.state.prefect_api_url, self._child, lambda _: None)

    def look(self, database: Database) -> None:
        """What a supervisor does every few seconds."""
        if self._child is None:
            return
        now = time.monotonic()
        if not alive(self._child):
            self.ended += 1
            self.start()
        elif not database.up or self._ready():
            self._well = now
        elif now - self._well > _READY_SECONDS:
            self.hung += 1
            self.stop()
            self.start()

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.state.prefect_api_url}/ready", timeout=5.0).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """End it."""
        if self._child is not None:
            stop(self._child, grace=5.0)


@dataclass
class Worker:
    """`parley worker` as a process of its own."""

    name: str
    state: StackState
    catalog: Path
    kills: int = 0
    ended: list[int] = field(default_factory=list)
    """Process ids of those that ended though nobody had killed them."""
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds and resident mebibytes, over one process's life."""
    _child: Child | None = None
    _since: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """The supervisor does not see a process between its kill and its successor's start."""

    def start(self) -> None:
        """Start a new process."""
        env = {
            **os.environ,
            **environment(self.state),
            "PARLEY_CATALOG": str(self.catalog),
            "PARLEY_OUTBOUND_HOSTS": "127.0.0.1:*",
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._child = start(self.name, WORKER, env, ROOT, self.state.logs)
        self._since = time.monotonic()
        self.memory.clear()

    def look(self, database: Database) -> None:
        """Start it anew where it ended by itself; sample its memory where it runs."""
        with self._lock:
            if self._child is None:
                return
            if alive(self._child):
                self.memory.append((time.monotonic() - self._since, _resident(self._child.pid)))
            elif database.up:
                self.ended.append(self._child.pid)
                self.start()

    def kill(self) -> None:
        """SIGKILL it and start it anew."""
        with self._lock:
            if self._child is not None and alive(self._child):
                os.kill(self._child.pid, signal.SIGKILL)
                self.kills += 1
                wait_until(lambda: self._child is None or not alive(self._child), 10)
            self.start()

    def stop(self) -> None:
        """Let it finish, then end it."""
        if self._child is not None:
            stop(self._child)


def at_work(dsn: str, pids: Sequence[int] | None = None) -> int:
    """How many workers have begun to work, or how many of these."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT count(DISTINCT pid) FROM workers WHERE CAST(%(pids)s AS int[]) IS NULL OR pid = ANY(%(pids)s)",
            {"pids": None if pids is None else list(pids)},
        ).fetchone()
    return int(row[0]) if row else 0


def _resident(pid: int) -> float:
    with suppress(OSError, IndexError, ValueError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE
    return 0.0


@dataclass
class Stack:
    """Everything that a soak runs on."""

    home: Path
    database: Database
    prefect: Prefect
    workers: tuple[Worker, ...]

    @property
    def dsn(self) -> str:
        """postgresql:// URL of Parley's database."""
        return self.database.cluster.dsn()

    def look(self) -> None:
        """One round of the supervisor."""
        self.prefect.look(self.database)
        for worker in self.workers:
            worker.look(self.database)


@contextmanager
def stack(home: Path, catalog: Path, lots: random.Random) -> Iterator[Stack]:
    """A Postgres, a Prefect server and two workers of their own."""
    database = Database(home, quiet_port(lots))
    state = StackState(
        home=home,
        dsn=database.cluster.dsn(),
        prefect_api_url=f"http://127.0.0.1:{quiet_port(lots)}/api",
        prefect_dsn=database.cluster.dsn("prefect"),
        postgres=database.cluster,
    )
    prefect = Prefect(state)
    workers = tuple(Worker(name, state, catalog) for name in ("worker-killed", "worker-kept"))
    try:
        prefect.start()
        prefect.wait()
        for worker in workers:
            worker.start()
        if not wait_until(lambda: at_work(database.cluster.dsn()) == len(workers), _START_SECONDS):
            raise StackError("the workers do not begin to work")
        yield Stack(home, database, prefect, workers)
    finally:
        for worker in workers:
            worker.stop()
        prefect.stop()
        database.discard()
