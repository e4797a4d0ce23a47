"""An embedded Postgres on 127.0.0.1: its folder, its user, its start and its stop."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import Field

from deployments.pg_binaries import Account, find_binaries, unprivileged_account
from deployments.processes import command_line, wait_until
from domain.errors import StackError
from domain.model import Frozen

USER = "parley"
DATABASES = ("parley", "prefect")
_START_TRIES = 4


class Cluster(Frozen):
    """Where an embedded Postgres lives and how to log in."""

    folder: Path
    """Holds data/ and, if need be, a copy of the binaries."""
    bin: Path
    port: int
    password: str = Field(repr=False)
    account: str | None = None
    """The system user that runs it; None for our own."""

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def dsn(self, database: str = "parley") -> str:
        """postgresql:// URL of one of its databases."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"


@dataclass(frozen=True)
class PostgresServer:
    """A running embedded Postgres."""

    cluster: Cluster
    log: Path

    @property
    def dsn(self) -> str:
        """postgresql:// URL of the database `parley`."""
        return self.cluster.dsn()

    def stop(self) -> None:
        """Stop it and keep its data."""
        stop_cluster(self.cluster)

    def discard(self) -> None:
        """Stop it and delete its data."""
        stop_cluster(self.cluster)
        shutil.rmtree(self.cluster.folder)


def start_postgres(folder: Path, bin: Path | None = None) -> PostgresServer:
    """Start a fresh Postgres whose logs (and, unless we are root, data) lie in the folder."""
    cluster = plan_cluster(folder, bin)
    return PostgresServer(start_cluster(cluster, folder / "logs"), folder / "logs" / "postgres.log")


def plan_cluster(home: Path, bin: Path | None) -> Cluster:
    """Choose folder, binaries, port and password for a new database. Makes the folder, starts nothing."""
    account = unprivileged_account()
    folder = account.folder_for(home) if account else home / "postgres"
    if account:
        account.make_folder(folder)
    else:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / "data").exists():
        raise StackError(
            f"{folder}/data holds a database whose password is lost with its state file: "
            "bring the file back, or stop that Postgres and delete the folder"
        )
    return Cluster(
        folder=folder,
        bin=find_binaries(bin, folder, account),
        port=free_port(),
        password=secrets.token_urlsafe(24),
        account=account.name if account else None,
    )


def start_cluster(cluster: Cluster, logs: Path) -> Cluster:
    """Create the data if there is none, start, and make both databases. The port may change if another took it."""
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not cluster.data.exists():
        _create(cluster)
    if running_pid(cluster) is not None:
        if _answers(cluster):
            return cluster
        stop_cluster(cluster)
    cluster = _launch(cluster, logs / "postgres.log")
    for name in DATABASES:
        ensure_database(cluster.dsn("postgres"), name)
    return cluster


def ensure_database(dsn: str, name: str) -> None:
    """Create a database on the server at `dsn` if it has none of that name."""
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as problem:
        raise StackError(f"the database {name} can be neither found nor created: {problem}") from None


def stop_cluster(cluster: Cluster) -> None:
    """Stop it if it runs: at first letting transactions end, then at once."""
    for mode in ("fast", "immediate"):
        if running_pid(cluster) is None:
            return
        with contextlib.suppress(StackError):
            _run(cluster, "pg_ctl", "-D", str(cluster.data), "-m", mode, "-t", "20", "-w", "stop")
    if (pid := running_pid(cluster)) is not None:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: running_pid(cluster) is None, 5)


def running_pid(cluster: Cluster) -> int | None:
    """The postmaster's process id, if the one named in the data folder lives and is ours."""
    try:
        pid = int((cluster.data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    # The id may since have gone to another process: only a postgres on this very folder counts.
    return pid if str(cluster.data) in command_line(pid).split(" ") else None


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _create(cluster: Cluster) -> None:
    """initdb beside the data folder and rename, so that a kill midway leaves no half-made database."""
    draft = cluster.folder / "data.new"
    if draft.exists():
        shutil.rmtree(draft)
    account = Account.named(cluster.account) if cluster.account else None
    with tempfile.NamedTemporaryFile("w", dir=cluster.folder, prefix="password-") as secret:
        secret.write(cluster.password)
        secret.flush()
        if account:
            os.chown(secret.name, account.uid, account.gid)
        _run(
            cluster, "initdb", "-D", str(draft), "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret.name}",
            "--encoding=UTF8", "--no-locale",
        )  # fmt: skip
    draft.rename(cluster.data)


def _launch(cluster: Cluster, log: Path) -> Cluster:
    error: StackError | None = None
    for _ in range(_START_TRIES):
        # pg_ctl trusts any live process with the recorded id; running_pid has shown that it is none of ours.
        (cluster.data / "postmaster.pid").unlink(missing_ok=True)
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={cluster.port} -c unix_socket_directories= -c max_connections=200"
        )
        try:
            with log.open("ab") as output:
                _run(
                    cluster, "pg_ctl", "-D", str(cluster.data), "-o", options, "-t", "60", "-w", "start", output=output
                )
            return cluster
        except StackError as problem:
            # The port was taken in the meantime, or children of a killed postmaster still hold its shared memory.
            error = problem
            stop_cluster(cluster)
            if not port_is_free(cluster.port):
                cluster = cluster.model_copy(update={"port": free_port()})
            wait_until(lambda: False, 1.0)
    end = log.read_text(errors="replace")[-800:]
    raise StackError(f"Postgres does not start ({error}). The end of {log}: {end}")


def _answers(cluster: Cluster) -> bool:
    try:
        psycopg.connect(cluster.dsn(), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _run(cluster: Cluster, program: str, *arguments: str, output: object = None) -> None:
    """Run one of Postgres' programs as the cluster's account, with a bare environment."""
    account = Account.named(cluster.account) if cluster.account else None
    with tempfile.TemporaryFile() as said:
        # Files, not pipes: the postmaster inherits them and would keep a pipe open for ever.
        sink = output if output is not None else said
        done = subprocess.run(
            [str(cluster.bin / program), *arguments],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"},
            cwd=cluster.folder,
            stdin=subprocess.DEVNULL,
            stdout=sink,  # type: ignore[call-overload]
            stderr=sink,
            check=False,
            timeout=120,
            **(account.as_arguments() if account else {}),
        )
        said.seek(0)
        text = said.read().decode(errors="replace").strip()
    if done.returncode != 0:
        raise StackError(f"{program} failed with exit code {done.returncode} {text[-1500:]}".strip())
