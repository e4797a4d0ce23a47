"""What the settings name wins; what is recorded stays wherever it still fits."""

from pathlib import Path

import pytest

from deployments import plan
from deployments.plan import plain_dsn, plan_stack, same_prefect, with_database
from deployments.postgres import Cluster
from deployments.state import StackState
from domain.settings import Settings


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    for name in ("DATABASE_URL", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    made = Cluster(folder=tmp_path / "postgres", bin=tmp_path, port=5555, password="pw")
    monkeypatch.setattr(plan, "plan_cluster", lambda home, bin: made)
    return made


def settings(tmp_path: Path, **values: object) -> Settings:
    return Settings.model_validate({"home": tmp_path / "state", **values})


def test_without_settings_all_is_our_own(tmp_path: Path, cluster: Cluster) -> None:
    state = plan_stack(settings(tmp_path), None)
    assert state.dsn == cluster.dsn("parley")
    assert state.prefect_dsn == cluster.dsn("prefect")
    assert state.prefect_api_url.startswith("http://127.0.0.1:")
    assert state.embedded


def test_what_is_recorded_stays(tmp_path: Path, cluster: Cluster) -> None:
    cluster.data.mkdir(parents=True)
    first = plan_stack(settings(tmp_path), None).model_copy(update={"deployed": "hash"})
    assert plan_stack(settings(tmp_path), first) == first
    inside = settings(tmp_path, database_url=first.dsn, prefect_api_url=first.prefect_api_url)
    assert plan_stack(inside, first) == first


def test_lost_data_means_a_new_database(tmp_path: Path, cluster: Cluster) -> None:
    old = cluster.model_copy(update={"password": "old", "folder": tmp_path / "gone"})
    recorded = StackState(
        home=tmp_path, dsn=old.dsn(), prefect_api_url="http://h/api", prefect_dsn=old.dsn("prefect"), postgres=old
    )
    state = plan_stack(settings(tmp_path), recorded)
    assert state.dsn == cluster.dsn()
    assert not same_prefect(recorded, state)


def test_a_database_of_your_own(tmp_path: Path, cluster: Cluster) -> None:
    state = plan_stack(settings(tmp_path, database_url="postgres://me:x@db.example:6000/desk?sslmode=require"), None)
    assert state.dsn == "postgresql://me:x@db.example:6000/desk?sslmode=require"
    assert state.prefect_dsn == "postgresql://me:x@db.example:6000/desk_prefect?sslmode=require"
    assert state.postgres is None
    assert not state.embedded


def test_the_embedded_password_survives_a_change_to_your_own_database(tmp_path: Path, cluster: Cluster) -> None:
    cluster.data.mkdir(parents=True)
    first = plan_stack(settings(tmp_path), None)
    away = plan_stack(settings(tmp_path, database_url="postgresql://db/x"), first)
    assert (away.embedded, away.postgres) == (False, cluster)
    assert plan_stack(settings(tmp_path), away).dsn == first.dsn


def test_a_prefect_server_of_your_own(tmp_path: Path, cluster: Cluster) -> None:
    cluster.data.mkdir(parents=True)
    theirs = plan_stack(settings(tmp_path, prefect_api_url="http://prefect:4200/api"), None)
    assert theirs.prefect_api_url == "http://prefect:4200/api"
    assert theirs.prefect_dsn is None
    ours = plan_stack(settings(tmp_path), theirs)
    assert ours.prefect_dsn == cluster.dsn("prefect")
    assert ours.prefect_api_url != theirs.prefect_api_url
    assert not same_prefect(theirs, ours)


def test_another_port_is_the_same_prefect(tmp_path: Path, cluster: Cluster) -> None:
    one = plan_stack(settings(tmp_path), None)
    moved = cluster.model_copy(update={"port": 6666})
    assert same_prefect(one, one.model_copy(update={"prefect_dsn": moved.dsn("prefect")}))


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("postgres://h/d", "postgresql://h/d"),
        ("postgresql+psycopg2://u:p@h:1/d", "postgresql://u:p@h:1/d"),
        ("postgresql://h/d", "postgresql://h/d"),
    ],
)
def test_any_form_of_the_url(url: str, plain: str) -> None:
    assert plain_dsn(url) == plain


def test_the_other_database_of_a_url_without_one() -> None:
    assert with_database("postgresql://me@h", "x") == "postgresql://me@h/x"
    assert plan.database_of("postgresql://me@h") == "me"
