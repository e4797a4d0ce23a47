"""Outcomes that several people record at once: each that changes something is an entry of the task's chain."""

import asyncio
from pathlib import Path

from control_plane.services import audit
from orchestration.run import Runtime
from storage.repositories import outcomes
from tests.integration.test_audit_chain import play


async def test_outcomes_that_are_recorded_at_once_are_all_told(runtime: Runtime, tmp_path: Path) -> None:
    task_id = await play(runtime)

    async def record(label: str, action: str) -> None:
        row = {"task_id": task_id, "label": label, "right_action": action, "recorded_by": f"eve-{label}"}
        async with runtime.engine.begin() as connection:
            await outcomes.record(connection, [row])

    await asyncio.gather(*(record(*pair) for pair in [("good", "approve"), ("bad", "decline")] * 4))
    found = await audit.verify(runtime.engine, tmp_path, task_id, None)
    assert (found.tasks, found.problems) == (1, [])
