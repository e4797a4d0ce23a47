"""The table of points is what runs reach, and where nothing is asked for nothing is watched."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control_plane.services import inbox
from domain import faults
from domain.settings import ROOT, Settings
from orchestration import nodes
from orchestration.kill_points import at_node
from orchestration.recovery import set_back
from orchestration.run import Runtime
from orchestration.wiring import open_runtime
from storage.leases import claim_one
from tests.faults.control_tasks import ALONE, PERSON, run, submit


@pytest.fixture
async def runtime(dsn: str, tmp_path: Path) -> AsyncIterator[Runtime]:
    async with open_runtime(Settings(home=tmp_path / "state", database_url=dsn)) as made:
        yield made
    faults.watch(None)


async def test_every_point_is_reached_in_some_run(runtime: Runtime) -> None:
    reached: set[str] = set()
    faults.watch(reached.add)
    await run(runtime, await submit(runtime, ALONE))
    for answer in (inbox.refuse, _approve):
        task_id = await submit(runtime, PERSON)
        await run(runtime, task_id)
        asked = (await inbox.open_approvals(runtime.engine))[0]
        await answer(runtime.engine, asked["id"], principal="eve", reason="seen", digest=None)
        await run(runtime, task_id)
    claim = await claim_one(runtime.engine, "test", await submit(runtime, ALONE), seconds=30)
    assert claim is not None
    await set_back(runtime.engine, claim.lease, ValueError("broken"))
    assert set(faults.POINTS) - reached == set()
    assert reached - set(faults.POINTS) == set()


async def _approve(*given: object, **named: object) -> object:
    return await inbox.approve(*given, action=None, **named)  # type: ignore[arg-type]


def test_unasked_nothing_is_watched() -> None:
    assert not faults.watched()
    assert at_node("intake", nodes.intake) is nodes.intake


def test_points_are_read_with_their_counts() -> None:
    assert faults.parse("execute:after_call, park:inside@2") == {"execute:after_call": 1, "park:inside": 2}
    assert faults.killer("") is None


@pytest.mark.parametrize("wrong", ["execute", "execute:never", "wait:inside", "park:inside@0", "park:inside@x"])
def test_what_is_no_point_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="PARLEY_FAULT"):
        faults.parse(wrong)


def test_the_process_is_killed_at_the_time_asked_for() -> None:
    program = "from domain.faults import reach\nfor i in range(3):\n    print(i, flush=True)\n    reach('park:inside')"
    env = {**os.environ, "PARLEY_FAULT": "park:inside@2"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (-9, "0\n1\n")
