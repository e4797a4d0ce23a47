"""The local stack: up, down, status, connect."""

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from deployments import deploy
from deployments.pg_binaries import Account, find_binaries
from deployments.plan import database_of, plain_dsn, plan_stack, same_prefect
from deployments.postgres import ensure_database, port_is_free, running_pid, start_cluster, stop_cluster
from deployments.prefect_server import WORK_POOL, ensure_work_pool, healthy, plan_url, start_server, wait_healthy
from deployments.processes import Child, alive, orphans, start, stop, wait_until
from deployments.state import Progress, StackState, environment, locked, read_state, write_state
from deployments.strays import kill_strays, mark
from domain.errors import PostgresAway, StackError
from domain.model import Frozen
from domain.outage import Outage
from domain.settings import ROOT, Settings

__all__ = ["Part", "StackState", "StackStatus", "connect", "connect_when_up", "down", "environment", "status", "up"]

PREFECT, WORKER, PREFECT_WORKER = "prefect", "worker", "prefect-worker"
_STOP_ORDER = (PREFECT_WORKER, WORKER, PREFECT)
_COMMANDS = {
    WORKER: (sys.executable, "-m", "control_plane.cli.main", "worker"),
    PREFECT_WORKER: (sys.executable, "-m", "prefect", "worker", "start", "--pool", WORK_POOL, "--type", "process"),
}
_SETTLE_SECONDS = 1.0


class Part(Frozen):
    """One part of the stack."""

    name: str
    up: bool
    detail: str
    """Where it listens or its process id; what is wrong, if it is down."""


class StackStatus(Frozen):
    """How the stack is."""

    home: Path
    parts: tuple[Part, ...]

    @property
    def healthy(self) -> bool:
        """Whether every part is up."""
        return bool(self.parts) and all(part.up for part in self.parts)


def up(settings: Settings, progress: Progress) -> StackState:
    """Start whatever of the stack does not run. Raises StackError, saying where to look."""
    home = settings.home.resolve()
    with locked(home, progress):
        recorded = read_state(home)
        state = plan_stack(settings, recorded)
        if recorded is not None:
            state = _part_from(recorded, state, progress)
        state = _clean(write_state(state), progress)
        running = state.processes
        state = _postgres(state, settings, progress)
        state = _prefect(state, progress)
        _migrate(state, progress)
        wait_healthy(state.prefect_api_url, state.processes.get(PREFECT), progress)
        ensure_work_pool(state.prefect_api_url)
        state = _workers(state, progress)
        state = _deploy(state, progress)
        if state.processes != running:
            _check_settled(state)
        progress(f"up: Prefect's pages are at {state.prefect_api_url.removesuffix('/api')}")
        return state


def down(settings: Settings, progress: Progress) -> None:
    """Stop everything that `up` started; data and logs stay."""
    home = settings.home.resolve()
    with locked(home, progress):
        state = read_state(home)
        if state is None:
            progress(f"no stack was ever started in {home}")
            return
        state = _stop(state, _STOP_ORDER, progress)
        kill_strays(home, ())
        if state.postgres is not None and running_pid(state.postgres) is not None:
            progress("stopping Postgres")
            stop_cluster(state.postgres)
        progress("down")


def connect(settings: Settings) -> StackState:
    """The stack to work with. Raises StackError with what to run when there is none, PostgresAway where its Postgres
    is not to be had.
    """
    home = settings.home.resolve()
    recorded = read_state(home)
    if settings.database_url and settings.prefect_api_url:
        state = plan_stack(settings, recorded)
    elif recorded is None:
        raise StackError(f"no stack in {home}: run `parley up`")
    else:
        state = recorded
    problem = _postgres_problem(state)
    if problem is not None:
        raise PostgresAway(f"{problem}: run `parley up`" if state.embedded else f"{problem}: check DATABASE_URL")
    return state


def connect_when_up(settings: Settings, tell: Callable[[str], None], *, pause: float = 1.0) -> StackState:
    """As `connect`, however long Postgres is away. Raises StackError where there is no stack to wait for."""
    outage = Outage("waiting for Postgres", tell)
    while True:
        try:
            state = connect(settings)
        except PostgresAway as away:
            outage.goes_on(away)
            time.sleep(pause)
        else:
            outage.is_over()
            return state


def status(settings: Settings) -> StackStatus:
    """Look at every part, changing nothing."""
    home = settings.home.resolve()
    state = read_state(home)
    if state is None:
        return StackStatus(home=home, parts=())
    problem = _postgres_problem(state)
    parts = [Part(name="postgres", up=problem is None, detail=problem or _place(state.dsn))]
    answers = healthy(state.prefect_api_url)
    lost = f"does not answer at {state.prefect_api_url}"
    parts.append(Part(name="prefect", up=answers, detail=state.prefect_api_url if answers else lost))
    for name in (WORKER, PREFECT_WORKER):
        child = state.processes.get(name)
        lives = child is not None and alive(child)
        parts.append(Part(name=name, up=lives, detail=_whereabouts(child)))
    return StackStatus(home=home, parts=tuple(parts))


def _whereabouts(child: Child | None) -> str:
    if child is None:
        return "not started"
    return f"process {child.pid}" if alive(child) else f"ended: see {child.log}"


def _part_from(recorded: StackState, state: StackState, progress: Progress) -> StackState:
    """Stop what was started for other addresses than those now wanted."""
    if not same_prefect(recorded, state):
        state = state.model_copy(update={"deployed": None})
    if (recorded.dsn, recorded.prefect_dsn) != (state.dsn, state.prefect_dsn):
        return _stop(state, _STOP_ORDER, progress)
    if recorded.prefect_api_url != state.prefect_api_url:
        return _stop(state, (PREFECT_WORKER, WORKER), progress)
    return state


def _clean(state: StackState, progress: Progress) -> StackState:
    """Forget children that are gone, and kill what they left behind."""
    gone = {name: child for name, child in state.processes.items() if not alive(child)}
    for name, child in gone.items():
        progress(f"{name} had ended without `parley down`: clearing up after it")
        if orphans(child):
            stop(child)
    kept = {name: child for name, child in state.processes.items() if name not in gone}
    kill_strays(state.home, [child.pid for child in kept.values()])
    return write_state(state.model_copy(update={"processes": kept})) if gone else state


def _postgres(state: StackState, settings: Settings, progress: Progress) -> StackState:
    if not state.embedded or state.postgres is None:
        problem = _postgres_problem(state)
        if problem is not None:
            raise StackError(f"{problem}: check DATABASE_URL")
        if state.prefect_dsn is not None:
            ensure_database(state.dsn, database_of(state.prefect_dsn))
        return state
    if _postgres_problem(state) is None:
        return state
    progress("starting Postgres")
    cluster = state.postgres
    account = Account.named(cluster.account) if cluster.account else None
    cluster = cluster.model_copy(update={"bin": find_binaries(settings.pg_bin, cluster.folder, account)})
    # A killed postmaster's Prefect server holds dead connections, and so may keep the last backends waiting.
    cluster = start_cluster(cluster, state.logs)
    own = state.prefect_dsn is not None
    changed = {"postgres": cluster, "dsn": cluster.dsn(), "prefect_dsn": cluster.dsn("prefect") if own else None}
    return write_state(_part_from(state, state.model_copy(update=changed), progress))


def _prefect(state: StackState, progress: Progress) -> StackState:
    """Start the server; it becomes healthy while the migrations run."""
    if state.prefect_dsn is None or PREFECT in state.processes:
        return state
    if not port_is_free(urlsplit(state.prefect_api_url).port or 0):
        moved = state.model_copy(update={"prefect_api_url": plan_url()})
        state = write_state(_part_from(state, moved, progress))
    progress("starting the Prefect server")
    return _with(state, PREFECT, start_server(state, _base(state)))


def _migrate(state: StackState, progress: Progress) -> None:
    # Alembic and SQLAlchemy take half a second to import, and every command that only connects would pay it.
    from storage.migrations.run import upgrade

    progress("bringing the database up to date")
    upgrade(state.sync_url)


def _workers(state: StackState, progress: Progress) -> StackState:
    for name, command in _COMMANDS.items():
        if name not in state.processes:
            progress(f"starting the {name}")
            env = {**_base(state), **environment(state), "PREFECT_WORKER_QUERY_SECONDS": "2"}
            state = _with(state, name, start(name, command, env, ROOT, state.logs))
    return state


def _deploy(state: StackState, progress: Progress) -> StackState:
    wanted = deploy.fingerprint(ROOT)
    if state.deployed == wanted:
        return state
    progress("deploying the flows")
    deploy.deploy_all(state, _base(state), ROOT, progress)
    return write_state(state.model_copy(update={"deployed": wanted}))


def _check_settled(state: StackState) -> None:
    """A child that cannot work ends within its first second or two, most often over an import."""
    children = state.processes
    wait_until(lambda: not all(alive(child) for child in children.values()), _SETTLE_SECONDS)
    for name, child in children.items():
        if not alive(child):
            raise StackError(f"{name} ended just after its start: see {child.log}")


def _stop(state: StackState, names: tuple[str, ...], progress: Progress) -> StackState:
    for name in names:
        child = state.processes.get(name)
        if child is None:
            continue
        if alive(child):
            progress(f"stopping {name}")
        stop(child)
        left = {key: value for key, value in state.processes.items() if key != name}
        state = write_state(state.model_copy(update={"processes": left}))
    return state


def _with(state: StackState, name: str, child: Child) -> StackState:
    return write_state(state.model_copy(update={"processes": {**state.processes, name: child}}))


def _base(state: StackState) -> dict[str, str]:
    """Our own environment, marked so that a child is known for one of this stack even if nobody recorded it."""
    return {**os.environ, **mark(state.home)}


def _postgres_problem(state: StackState) -> str | None:
    """What keeps us from using Postgres; None if nothing does."""
    if state.embedded and state.postgres is not None and running_pid(state.postgres) is None:
        return "the stack's Postgres does not run"
    try:
        psycopg.connect(state.dsn, connect_timeout=5).close()
    except psycopg.Error as problem:
        return f"Postgres at {_place(state.dsn)} cannot be used ({str(problem).strip()})"
    return None


def _place(dsn: str) -> str:
    """Host, port and database: an address to show, without the login."""
    parts = urlsplit(plain_dsn(dsn))
    return f"{parts.hostname or socket.gethostname()}:{parts.port or 5432}{parts.path}"
