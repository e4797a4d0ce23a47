"""A worker is killed at every named point; another finishes, and each task ends as it would have undisturbed."""

from collections.abc import Iterator

import psycopg
import pytest

from catalog.load import load_catalog
from control_plane.services.sweep import Request, Sweep, Swept, cases_of
from control_plane.services.sweep_states import differences
from deployments.postgres import PostgresServer
from domain.settings import Settings
from tasks.executors import EXECUTORS


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[str]:
    yield postgres.cluster.dsn("postgres")
    with psycopg.connect(postgres.cluster.dsn("postgres"), autocommit=True) as connection:
        for (name,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'parley_sweep%'"
        ).fetchall():
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


# The rest is in `make faults`.
POINTS = ("negotiate:inside", "execute:inside", "execute:after_call", "park:inside", "answer:after", "compensate:after")


async def test_killed_here_and_ended_there(server: str) -> None:
    kind = load_catalog(Settings().catalog, EXECUTORS).task_type("credit_review")
    told: list[Swept] = []
    done, unreached = await Sweep(server, kind, cases_of(kind, None)[:4], Request(told.append, points=POINTS)).run()
    assert [(one.point, one.problems) for one in done] == [(one.point, ()) for one in done]
    assert {one.point for one in done} == set(POINTS[:-1])
    assert unreached == ["compensate:after"]
    assert len(told) == len(done)


def test_a_doubled_effect_and_a_lost_row_are_seen() -> None:
    whole = {"records": [["k", "approve"]], "events": [["a"], ["b"]]}
    assert differences(whole, whole) == []
    assert differences(whole, {"records": [["k", "approve"]] * 2, "events": [["b"]]}) == [
        "records: 0 missing, 0 added, 2 for 1",
        "events: 1 missing, 0 added, 1 for 2",
    ]
