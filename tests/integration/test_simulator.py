"""The simulator: what it plays holds, a seed plays the same again, and it finds bugs that are planted."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.postgres import PostgresServer
from orchestration import dispatch
from storage import checkpoints, unit_of_work
from storage.checkpoints import FencedSaver
from tasks import context
from tests.simulator.play import play_all
from tests.simulator.stage import make_database

HISTORIES = 25
FOUND_WITHIN = 60


@pytest.fixture(scope="module")
def moved_clock(postgres: PostgresServer) -> str:
    return make_database(postgres.dsn, "simulator")


async def test_random_histories_keep_every_promise(moved_clock: str, tmp_path: Path) -> None:
    played = await play_all(moved_clock, tmp_path, range(1, HISTORIES + 1))
    assert [(one.seed, one.broken) for one in played if one.broken] == []
    assert len(played) == HISTORIES
    assert {"done", "cancelled"} <= {one.end for one in played}


async def test_a_seed_plays_the_same_again(moved_clock: str, tmp_path: Path) -> None:
    first, second = [await play_all(moved_clock, tmp_path / name, range(20, 25)) for name in ("first", "second")]
    assert [one.lines for one in first] == [one.lines for one in second]


async def _find(dsn: str, folder: Path) -> tuple[str, ...]:
    """What the first history that breaks something breaks."""
    played = await play_all(dsn, folder, range(1, FOUND_WITHIN + 1))
    assert played[-1].lines[0].split()[1] == "ann", "a failure comes with its history"
    return played[-1].broken


def _plant(monkeypatch: pytest.MonkeyPatch, **hidden: Any) -> None:
    """Hide from every check of a run what stands in the task's row."""
    check = unit_of_work.check_fence

    def blind(row: Any, lease: Any, **how: Any) -> None:
        seen = {name: getattr(row, name) for name in row._fields}
        check(SimpleNamespace(**{**seen, **{name: hide(lease) for name, hide in hidden.items()}}), lease, **how)  # type: ignore[arg-type]

    for module in (unit_of_work, context, dispatch):
        monkeypatch.setattr(module, "check_fence", blind)


async def test_a_missing_fence_check_is_found(
    moved_clock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plant(monkeypatch, fence=lambda lease: lease.fence)
    assert await _find(moved_clock, tmp_path)


async def test_a_missing_fence_of_checkpoints_is_found(
    moved_clock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_PUT", "_PUT_WITH_BLOBS", "_ADD_WRITES", "_REPLACE_WRITES"):
        statement = getattr(checkpoints, name)
        assert " AND fence = %(fence)s" in statement
        monkeypatch.setattr(checkpoints, name, statement.replace(" AND fence = %(fence)s", ""))
    assert await _find(moved_clock, tmp_path)


async def test_a_cancel_that_is_not_looked_at_is_found(
    moved_clock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plant(monkeypatch, cancel_requested=lambda _: False)
    assert await _find(moved_clock, tmp_path)


async def test_a_last_checkpoint_by_the_workers_clock_is_found(
    moved_clock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(FencedSaver, "aget_tuple")
    assert await _find(moved_clock, tmp_path)
