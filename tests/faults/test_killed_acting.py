"""SIGKILL around the call of each kind of target, and around each undoing: effects are counted at the target."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.action import ExecutorKind
from domain.settings import Settings
from orchestration.swept import Orders
from tests.fakes.server import OUTBOUND_HOSTS
from tests.fakes.target import FakeTarget, fake_target
from tests.faults.forked import die, end, work
from tests.faults.workers import FULL
from tests.integration.acting import Acting, acting, write_steps
from tests.integration.test_exactly_once import DOUBTFUL, POINTS
from tests.integration.test_rollback import UNDO_CRASHES

PLACES = list(POINTS) if FULL else ["after the call"]
UNDOINGS = list(UNDO_CRASHES) if FULL else ["behind its call"]
ACTING = [ExecutorKind.DEDUP, ExecutorKind.FENCED, ExecutorKind.QUERY]


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "state", database_url=dsn, outbound_hosts=OUTBOUND_HOSTS)


class Killed:
    """A task whose worker was killed, and the one that goes on with it."""

    def __init__(self, stage: Acting, orders: Orders, task_id: str) -> None:
        self.stage, self.orders, self.task_id = stage, orders, task_id

    async def status(self) -> str:
        sql = "SELECT CASE WHEN due OR lease_owner IS NOT NULL THEN 'running' ELSE status END FROM tasks WHERE id = :id"
        [(status,)] = await self.stage.rows(sql, self.task_id)
        return str(status)

    async def go_on(self) -> str:
        """Another worker, until the task has ended or is parked; returns which."""
        process = work(self.orders.model_copy(update={"fault": ""}))
        try:
            async with asyncio.timeout(60):
                while (status := await self.status()) in ("submitted", "running"):
                    assert process.is_alive(), self.orders.log.read_text()
                    await asyncio.sleep(0.05)
        finally:
            await end(process)
        return status


@asynccontextmanager
async def _killed(settings: Settings, tmp_path: Path, steps: dict[str, dict[str, Any]], point: tuple[str, int]) -> Any:
    catalog = write_steps(tmp_path, steps)
    orders = Orders(
        dsn=str(settings.database_url),
        home=tmp_path / "worker",
        catalog=catalog,
        log=tmp_path / "worker.log",
        fault=f"{point[0]}@{point[1]}",
        outbound_hosts=settings.outbound_hosts,
    )
    async with acting(settings, catalog) as stage:
        task_id = await stage.submit()
        await die(orders)
        yield Killed(stage, orders, task_id)


def _pay(target: FakeTarget) -> dict[str, dict[str, Any]]:
    return {"pay": {"executor_parameters": target.parameters()}}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ACTING)
async def test_one_effect_wherever_its_worker_is_killed(
    settings: Settings, tmp_path: Path, kind: ExecutorKind, place: str
) -> None:
    with fake_target(kind) as target:
        async with _killed(settings, tmp_path, _pay(target), POINTS[place]) as killed:
            assert len(target.effects) == (1 if place == "after the end" else DOUBTFUL.get(place, 0))
            assert await killed.go_on() == "done"
            assert target.effects == [f"{killed.task_id}/pay"]
            if kind is ExecutorKind.QUERY:
                assert len(target.requests) == 1


@pytest.mark.parametrize("place", PLACES)
async def test_a_person_tells_of_a_blind_target_whose_sender_was_killed(
    settings: Settings, tmp_path: Path, place: str
) -> None:
    with fake_target(ExecutorKind.BLIND) as target:
        async with _killed(settings, tmp_path, _pay(target), POINTS[place]) as killed:
            if place in DOUBTFUL:
                assert await killed.go_on() == "parked"
                await killed.stage.answer(killed.task_id, "done" if DOUBTFUL[place] else "not_done")
            assert await killed.go_on() == ("done" if DOUBTFUL.get(place, 1) else "failed")
            assert len(target.requests) == len(target.effects) == DOUBTFUL.get(place, 1)


@pytest.mark.parametrize("place", UNDOINGS)
async def test_what_was_done_is_undone_once_wherever_its_worker_is_killed(
    settings: Settings, tmp_path: Path, place: str
) -> None:
    with fake_target() as target:
        target.refused = frozenset({"ship"})
        acts = {"executor_parameters": target.parameters()}
        steps = {"book": {**acts, "compensate": "cancel"}, "charge": {**acts, "compensate": "cancel"}, "ship": acts}
        async with _killed(settings, tmp_path, steps, UNDO_CRASHES[place]) as killed:
            assert await killed.go_on() == "failed"
            assert target.effects == [
                f"{killed.task_id}/{step}" for step in ("book", "charge", "charge:compensate", "book:compensate")
            ]
