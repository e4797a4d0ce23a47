"""What ails the local stack, and what mends it."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import psycopg

from catalog.load import load_catalog
from deployments import deploy
from deployments.local import status
from deployments.pg_binaries import bundled_binaries, unprivileged_account, why_not
from deployments.plan import plain_dsn
from deployments.prefect_server import healthy
from deployments.state import StackState, read_state
from deployments.strays import find_strays
from domain.errors import CatalogError, StackError
from domain.hosts import SETTING
from domain.model import Frozen
from domain.settings import ROOT, Settings
from storage.roles import TAKE_ROLE
from tasks.called import not_allowed
from tasks.executors import EXECUTORS

_ROOM_BYTES = 500 * 1024 * 1024
_UP = "run `parley up`"
_CHAIN_IS_OURS = "SELECT tableowner = current_user FROM pg_tables WHERE tablename = 'audit_log'"


class Ailment(Frozen):
    """Something wrong with the stack."""

    problem: str
    mend: str
    """What to do about it."""


def examine(settings: Settings) -> list[Ailment]:
    """Look at everything, changing nothing. An empty list means that the stack is well."""
    home = settings.home.resolve()
    ailments = [*_room(home), *_modes(home), *_catalog(settings), *_outbound(settings), *_prefect_url(settings)]
    try:
        state = read_state(home)
    except StackError as problem:
        return [*ailments, Ailment(problem=str(problem), mend="move the state file away, then run `parley up`")]
    if state is None:
        return [
            *ailments,
            *_programs(settings, None),
            Ailment(problem=f"no stack was ever started in {home}", mend=_UP),
        ]
    for check in _CHECKS:
        ailments.extend(check(settings, state))
    return ailments


def _room(home: Path) -> list[Ailment]:
    place = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free >= _ROOM_BYTES:
        return []
    return [Ailment(problem=f"only {free // 2**20} MiB are free in {place}", mend="make room: 500 MiB at least")]


def _modes(home: Path) -> list[Ailment]:
    """The state holds a password."""
    found = []
    for path, mode in ((home, 0o700), (home / "state.json", 0o600)):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            found.append(Ailment(problem=f"others may read {path}", mend=f"chmod {mode:o} {path}"))
    return found


def _catalog(settings: Settings) -> list[Ailment]:
    if settings.catalog.is_dir():
        return []
    return [Ailment(problem=f"there is no catalog folder {settings.catalog}", mend="set PARLEY_CATALOG to the pilots")]


def _outbound(settings: Settings) -> list[Ailment]:
    """Whether the hosts that the catalog calls are allowed."""
    try:
        catalog = load_catalog(settings.catalog, EXECUTORS)
    except CatalogError:
        return []  # whatever works with the catalog says so
    return [
        Ailment(
            problem=f"{one.host}, called by {one.by}, is not named in {SETTING}: such calls are refused",
            mend=f"add {one.host} to {SETTING} where it may be called, then run `parley down` and `parley up`",
        )
        for one in not_allowed(catalog, settings.outbound_hosts, settings.notify_url)
    ]


def _prefect_url(settings: Settings) -> list[Ailment]:
    if settings.prefect_api_url is None or healthy(settings.prefect_api_url):
        return []
    return [
        Ailment(
            problem=f"PREFECT_API_URL is set, but no Prefect server answers at {settings.prefect_api_url}",
            mend="start that server, or unset PREFECT_API_URL to have one started",
        )
    ]


def _programs(settings: Settings, state: StackState | None) -> list[Ailment]:
    """Whether the embedded Postgres can be run, where it is wanted."""
    if settings.database_url is not None and (state is None or not state.embedded):
        return []
    try:
        account = unprivileged_account()
        # Our own copy is readable by whoever runs it; a folder given to us has to be.
        problem = why_not(settings.pg_bin, account) if settings.pg_bin else why_not(bundled_binaries(), None)
    except StackError as refusal:
        problem = str(refusal)
    if problem is None:
        return []
    mend = "set PARLEY_PG_BIN or DATABASE_URL, then run `parley up`"
    return [Ailment(problem=f"the embedded Postgres cannot be run: {problem}", mend=mend)]


def _other_database(settings: Settings, state: StackState) -> list[Ailment]:
    if settings.database_url is None or plain_dsn(settings.database_url) == state.dsn:
        return []
    return [Ailment(problem="DATABASE_URL names another database than the stack that was started uses", mend=_UP)]


def _parts(settings: Settings, state: StackState) -> list[Ailment]:
    return [Ailment(problem=f"{part.name}: {part.detail}", mend=_UP) for part in status(settings).parts if not part.up]


def _deployments(settings: Settings, state: StackState) -> list[Ailment]:
    if state.deployed == deploy.fingerprint(ROOT):
        return []
    return [Ailment(problem="prefect.yaml or a flow is newer than what is deployed", mend=_UP)]


def _strays(settings: Settings, state: StackState) -> list[Ailment]:
    found = find_strays(state.home, [child.pid for child in state.processes.values()])
    if not found:
        return []
    numbers = ", ".join(str(pid) for pid in found)
    return [Ailment(problem=f"processes left behind by a killed part of the stack: {numbers}", mend=_UP)]


def _audit(settings: Settings, state: StackState) -> list[Ailment]:
    """Whether the audit chain belongs to a role of its own, and the application writes as one that may only append."""
    try:
        with psycopg.connect(state.dsn, connect_timeout=3) as connection:
            owned = connection.execute(_CHAIN_IS_OURS).fetchone()
            taken = connection.execute(TAKE_ROLE).fetchone()
    except psycopg.Error:
        return []  # `_parts` says so
    if owned is None or not (owned[0] or taken is None):
        return []
    if owned[0]:
        problem = "the audit chain belongs to the database's login, which may switch its triggers off"
    else:
        problem = "the application writes as the database's login: it may not take the role parley_writer here"
    return [
        Ailment(
            problem=problem,
            mend="run the last block of storage/migrations/versions/0003_durability.sql as a superuser; "
            "until then rely on anchors kept elsewhere: parley audit anchor --out FILE",
        )
    ]


_CHECKS: tuple[Callable[[Settings, StackState], list[Ailment]], ...] = (
    _programs,
    _other_database,
    _parts,
    _deployments,
    _strays,
    _audit,
)
