"""What is recorded about a local stack: where everything listens, who runs it, how to log in."""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from deployments.postgres import Cluster
from deployments.processes import Child
from domain.errors import StackError
from domain.model import Frozen
from domain.settings import ROOT

Progress = Callable[[str], None]
_LOCK_SECONDS = 180.0


class StackState(Frozen):
    """A local stack, as recorded in its state file."""

    home: Path
    """The state folder."""
    dsn: str = Field(repr=False)
    """postgresql:// URL of Parley's database."""
    prefect_api_url: str
    prefect_dsn: str | None = Field(default=None, repr=False)
    """postgresql:// URL of the database of our own Prefect server; None when PREFECT_API_URL names another."""
    postgres: Cluster | None = None
    """The embedded Postgres, kept even while DATABASE_URL names another: its password is nowhere else."""
    processes: dict[str, Child] = Field(default_factory=dict)
    deployed: str | None = None
    """Hash of what was last deployed to the Prefect server."""

    @property
    def embedded(self) -> bool:
        """Whether Parley's database is the embedded one."""
        return self.postgres is not None and self.dsn == self.postgres.dsn()

    @property
    def sync_url(self) -> str:
        """SQLAlchemy URL for psycopg2."""
        return self.dsn.replace("postgresql://", "postgresql+psycopg2://", 1)

    @property
    def async_url(self) -> str:
        """SQLAlchemy URL for psycopg 3, which does asyncio too."""
        return self.dsn.replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def logs(self) -> Path:
        """Folder of the log files."""
        return self.home / "logs"


def environment(state: StackState) -> dict[str, str]:
    """The environment variables that point a process at this stack."""
    prefect_home = state.home / "prefect"
    return {
        "DATABASE_URL": state.dsn,
        "PREFECT_API_URL": state.prefect_api_url,
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_LOCAL_STORAGE_PATH": str(prefect_home / "storage"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PARLEY_STATE": str(state.home),
        "PARLEY_ROOT": str(ROOT),
        # Read when LangGraph is imported: without it a crafted checkpoint executes code.
        "LANGGRAPH_STRICT_MSGPACK": "true",
        "LANGSMITH_TRACING": "false",
        "DO_NOT_TRACK": "1",
    }


def read_state(home: Path) -> StackState | None:
    """The recorded stack; None if there never was one. Raises StackError if the file cannot be used."""
    path = _file(home)
    try:
        state = StackState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as problem:
        raise StackError(
            f"{path} cannot be used ({problem}): move it away and run `parley up`, which makes a new and empty stack"
        ) from None
    if state.home != home:
        raise StackError(f"{path} was copied: it describes the stack in {state.home}. Remove it and run `parley up`")
    return state


def write_state(state: StackState) -> StackState:
    """Record the stack atomically, readable by us alone, and hand it back."""
    make_home(state.home)
    descriptor, draft = tempfile.mkstemp(dir=state.home, prefix="state-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(state.model_dump_json(indent=2))
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(_file(state.home))
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return state


def make_home(home: Path) -> None:
    """The state folder, which only we may enter."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)


@contextlib.contextmanager
def locked(home: Path, progress: Progress, patience: float = _LOCK_SECONDS) -> Iterator[None]:
    """Hold the stack's lock, so that one `up` or `down` works on it at a time."""
    make_home(home)
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor, home, progress, patience)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, home: Path, progress: Progress, patience: float) -> None:
    end = time.monotonic() + patience
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise StackError(f"another `parley up` or `parley down` holds {home / 'lock'}: wait for it") from None
        if not told:
            progress("waiting for another `parley up` or `parley down` to end")
            told = True
        time.sleep(0.1)


def _file(home: Path) -> Path:
    return home / "state.json"
