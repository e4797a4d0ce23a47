"""The state file: private, whole or not at all, and one `up` at a time."""

import multiprocessing
import stat
from pathlib import Path

import pytest

from deployments.postgres import Cluster
from deployments.processes import Child
from deployments.state import StackState, environment, locked, read_state, write_state
from domain.errors import StackError


def stack(home: Path) -> StackState:
    cluster = Cluster(folder=home / "postgres", bin=Path("/bin"), port=5555, password="s3cret")
    return StackState(
        home=home,
        dsn=cluster.dsn(),
        prefect_api_url="http://127.0.0.1:4000/api",
        prefect_dsn=cluster.dsn("prefect"),
        postgres=cluster,
        processes={"worker": Child(pid=7, started="boot:9", log=home / "logs/worker.log")},
    )


def test_it_comes_back_as_written(tmp_path: Path) -> None:
    home = tmp_path / "state"
    write_state(stack(home))
    assert read_state(home) == stack(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "state.json").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["state.json"]


def test_no_state_is_none(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"home": "/x"}', b"\xff"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(StackError, match=r"state\.json cannot be used"):
        read_state(tmp_path)


def test_a_copied_file_is_refused(tmp_path: Path) -> None:
    write_state(stack(tmp_path / "a"))
    (tmp_path / "b").mkdir()
    (tmp_path / "b/state.json").write_bytes((tmp_path / "a/state.json").read_bytes())
    with pytest.raises(StackError, match="was copied"):
        read_state(tmp_path / "b")


def test_the_urls_name_their_drivers(tmp_path: Path) -> None:
    state = stack(tmp_path)
    assert state.dsn == "postgresql://parley:s3cret@127.0.0.1:5555/parley"
    assert state.sync_url == "postgresql+psycopg2://parley:s3cret@127.0.0.1:5555/parley"
    assert state.async_url == "postgresql+psycopg://parley:s3cret@127.0.0.1:5555/parley"
    assert state.embedded
    assert not state.model_copy(update={"dsn": "postgresql://db/x"}).embedded


def test_the_password_is_not_shown(tmp_path: Path) -> None:
    assert "s3cret" not in repr(stack(tmp_path))


def test_the_environment_points_at_the_stack(tmp_path: Path) -> None:
    found = environment(stack(tmp_path))
    assert found["DATABASE_URL"] == "postgresql://parley:s3cret@127.0.0.1:5555/parley"
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4000/api"
    assert found["PARLEY_STATE"] == str(tmp_path)
    assert Path(found["PREFECT_HOME"]).is_relative_to(tmp_path)
    assert found["LANGGRAPH_STRICT_MSGPACK"] == "true"
    assert (Path(found["PARLEY_ROOT"]) / "prefect.yaml").is_file()


def _hold(home: Path, held: "multiprocessing.synchronize.Event", free: "multiprocessing.synchronize.Event") -> None:
    with locked(home, lambda _: None):
        held.set()
        free.wait(20)


def test_the_lock_lets_one_in_at_a_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, free = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, free))
    other.start()
    try:
        assert held.wait(20)
        said: list[str] = []
        with pytest.raises(StackError, match="another `parley up`"), locked(tmp_path, said.append, patience=0.3):
            pass
        assert len(said) == 1
    finally:
        free.set()
        other.join(20)
    with locked(tmp_path, said.append, patience=0.3):
        assert len(said) == 1
