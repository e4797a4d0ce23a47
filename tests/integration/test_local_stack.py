"""The local stack for real: started, killed in pieces and as a whole, started again, stopped."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from deployments import local
from deployments.doctor import examine
from deployments.postgres import Cluster, PostgresServer, running_pid, start_cluster, start_postgres
from deployments.processes import alive, wait_until
from deployments.state import StackState, read_state
from domain.errors import StackError
from domain.settings import Settings

SCHEDULED = {"recover", "evaluate_pilot", "calibrate_panel", "prune", "governance_report", "red_team"}
NAMES = SCHEDULED | {"orchestrate_task", "negotiation_round", "run_batch", "work"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    started = start_postgres(tmp_path / "one", None)
    yield started
    started.discard()


def kill_postgres(cluster: Cluster) -> None:
    pid = running_pid(cluster)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: running_pid(cluster) is None, 10)


def note(dsn: str, text: str) -> list[str]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (text text)")
        connection.execute("INSERT INTO notes VALUES (%s)", (text,))
        return [str(row[0]) for row in connection.execute("SELECT text FROM notes")]


def test_postgres_listens_on_tcp_alone_and_asks_for_the_password(server: PostgresServer) -> None:
    with psycopg.connect(server.dsn) as connection:
        shown = [
            connection.execute(f"SHOW {name}".encode()).fetchone()
            for name in ("listen_addresses", "unix_socket_directories", "max_connections", "password_encryption")
        ]
    assert shown == [("127.0.0.1",), ("",), ("200",), ("scram-sha-256",)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn.replace(server.cluster.password, "wrong"))


def test_postgres_comes_back_after_kill_9_with_its_data(server: PostgresServer, tmp_path: Path) -> None:
    assert note(server.dsn, "before") == ["before"]
    kill_postgres(server.cluster)
    assert (server.cluster.data / "postmaster.pid").exists()
    again = start_cluster(server.cluster, tmp_path / "logs")
    assert note(again.dsn(), "after") == ["before", "after"]


def test_a_reused_pid_neither_stops_the_start_nor_is_killed(server: PostgresServer, tmp_path: Path) -> None:
    pid_file = server.cluster.data / "postmaster.pid"
    kill_postgres(server.cluster)
    lines = pid_file.read_text().split("\n")
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    assert running_pid(server.cluster) is None
    assert note(start_cluster(server.cluster, tmp_path / "logs").dsn(), "x") == ["x"]


def test_a_port_taken_meanwhile_is_changed(server: PostgresServer, tmp_path: Path) -> None:
    server.stop()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", server.cluster.port))
        squatter.listen()
        moved = start_cluster(server.cluster, tmp_path / "logs")
    assert moved.port != server.cluster.port
    assert note(moved.dsn(), "x") == ["x"]


def test_two_side_by_side(server: PostgresServer, tmp_path: Path) -> None:
    other = start_postgres(tmp_path / "two", None)
    try:
        assert note(server.dsn, "one") == ["one"]
        assert note(other.dsn, "two") == ["two"]
    finally:
        other.discard()
    assert not other.cluster.folder.exists()
    assert note(server.dsn, "still") == ["one", "still"]


def test_data_without_its_password_is_not_overwritten(server: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="password is lost"):
        start_postgres(tmp_path / "one", None)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "PREFECT_API_URL"):
            patch.delenv(name, raising=False)
        home = tmp_path_factory.mktemp("stack") / "state"
        made = Settings.model_validate({"home": home})
        yield made
        local.down(made, lambda _: None)
        state = read_state(home)
        if state is not None and state.postgres is not None:
            PostgresServer(state.postgres, home).discard()


@pytest.fixture(scope="module")
def stack(settings: Settings) -> StackState:
    said: list[str] = []
    begin = time.monotonic()
    state = local.up(settings, said.append)
    assert time.monotonic() - begin < 60
    assert len(said) > 5
    return state


def quick_up(settings: Settings) -> StackState:
    return local.up(settings, lambda _: None)


def test_up_brings_all_parts(settings: Settings, stack: StackState) -> None:
    assert [(part.name, part.up) for part in local.status(settings).parts] == [
        ("postgres", True),
        ("prefect", True),
        ("worker", True),
        ("prefect-worker", True),
    ]
    assert local.connect(settings) == stack
    assert examine(settings) == []


def test_every_flow_is_deployed_under_its_name(stack: StackState) -> None:
    found = httpx.post(f"{stack.prefect_api_url}/deployments/filter", json={}, timeout=30).json()
    assert {deployment["name"] for deployment in found} == NAMES
    assert {deployment["work_pool_name"] for deployment in found} == {"parley"}
    schedules = {deployment["name"] for deployment in found if deployment["schedules"]}
    assert schedules == SCHEDULED


def test_up_again_changes_nothing(settings: Settings, stack: StackState) -> None:
    begin = time.monotonic()
    assert quick_up(settings) == stack
    assert time.monotonic() - begin < 5


def test_up_restarts_only_what_died(settings: Settings, stack: StackState) -> None:
    os.kill(stack.processes["worker"].pid, signal.SIGKILL)
    assert wait_until(lambda: not alive(stack.processes["worker"]), 10)
    assert any("worker: ended" in ailment.problem for ailment in examine(settings))
    again = quick_up(settings)
    assert again.processes["worker"] != stack.processes["worker"]
    assert {name: again.processes[name] for name in ("prefect", "prefect-worker")} == {
        name: stack.processes[name] for name in ("prefect", "prefect-worker")
    }


def test_everything_killed_at_once_comes_back(settings: Settings, stack: StackState) -> None:
    state = local.connect(settings)
    note(state.dsn, "kept")
    assert state.postgres is not None
    for child in state.processes.values():
        os.kill(child.pid, signal.SIGKILL)
    # A process lives on for a moment after the signal is sent.
    assert wait_until(lambda: not any(alive(child) for child in state.processes.values()), 10)
    kill_postgres(state.postgres)
    with pytest.raises(StackError, match="parley up"):
        local.connect(settings)
    again = quick_up(settings)
    assert local.status(settings).healthy
    assert note(again.dsn, "more") == ["kept", "more"]
    assert again.deployed == stack.deployed


def test_the_schedules_are_kept(stack: StackState) -> None:
    """Prefect's scheduler looks once a minute; it fails in silence when its parts do not fit each other."""
    wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "limit": 200}

    def scheduled() -> set[str]:
        api = stack.prefect_api_url
        runs = httpx.post(f"{api}/flow_runs/filter", json=wanted, timeout=30).json()
        names = {d["id"]: d["name"] for d in httpx.post(f"{api}/deployments/filter", json={}, timeout=30).json()}
        return {str(names[run["deployment_id"]]) for run in runs}

    assert wait_until(lambda: scheduled() == SCHEDULED, 90)


def test_a_deployment_runs_in_the_process_worker(settings: Settings, stack: StackState) -> None:
    api = local.connect(settings).prefect_api_url
    found = httpx.post(f"{api}/deployments/filter", json={}, timeout=30).json()
    identity = next(deployment["id"] for deployment in found if deployment["name"] == "recover")
    run = httpx.post(f"{api}/deployments/{identity}/create_flow_run", json={}, timeout=30).json()

    def state() -> str:
        return str(httpx.get(f"{api}/flow_runs/{run['id']}", timeout=30).json()["state_type"])

    assert wait_until(lambda: state() in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}, 90)
    # Another run of the schedule may just be at work, and then this one gives way.
    assert state() in {"COMPLETED", "CANCELLED"}


def test_down_leaves_nothing_running(settings: Settings, stack: StackState) -> None:
    state = local.connect(settings)
    local.down(settings, lambda _: None)
    assert not any(alive(child) for child in state.processes.values())
    assert state.postgres is not None
    assert running_pid(state.postgres) is None
    assert not any(part.up for part in local.status(settings).parts)
    local.down(settings, lambda _: None)
