"""What the audit chain costs a task of the direct lane, and how fast it is verified: `python -m bench.audit`."""

import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import text

from bench.direct import run_direct, submit
from bench.lanes import stack, variables
from control_plane.services import audit
from domain.settings import Settings
from domain.task import Lane
from orchestration import anchors
from orchestration.run import Runtime
from orchestration.wiring import open_runtime
from storage import audit as writing
from storage import unit_of_work

ROUNDS = 6
TASKS = 40
GROWTH = text(
    "SELECT count(*) AS entries, count(DISTINCT task_id) AS tasks, "
    "pg_total_relation_size('audit_log') + pg_total_relation_size('audit_heads') AS bytes FROM audit_log"
)


@contextmanager
def without_chain() -> Iterator[None]:
    """Events and rows are written as ever, nothing is appended."""
    with (
        patch.object(writing.Chain, "state", lambda *_: None),
        patch.object(writing.Chain, "append", lambda *_: None),
        patch.object(unit_of_work, "STATED", {}),
    ):
        yield


async def _measured(runtime: Runtime, settings: Settings) -> dict[str, float]:
    offset = 0

    async def a_slice() -> float:
        nonlocal offset
        task_ids = await submit(runtime, offset, TASKS, Lane.DIRECT)
        offset += TASKS
        return 1000 * await run_direct(runtime, settings, task_ids) / TASKS

    await a_slice()
    chained, bare = [], []
    for _ in range(ROUNDS):
        chained.append(await a_slice())
        with patch("orchestration.submission.write_events", _nothing), without_chain():
            bare.append(await a_slice())
    figures = {"ms_a_task": statistics.median(chained), "ms_without_chain": statistics.median(bare)}
    # In pairs, so that a machine that slows down does not count as the chain's doing.
    pairs = zip(chained, bare, strict=True)
    return {**figures, "ms_for_the_chain": statistics.median(one - other for one, other in pairs)}


async def _nothing(*_: object) -> None:
    return None


async def _verified(runtime: Runtime, home: Path) -> dict[str, float]:
    async with runtime.engine.connect() as connection:
        grown = (await connection.execute(GROWTH)).one()
    await anchors.anchor(runtime.engine, home, None)
    found = await audit.verify(runtime.engine, home, None, None)
    return {
        "entries_a_task": grown.entries / grown.tasks,
        "bytes_a_task": grown.bytes / grown.tasks,
        "tasks_verified_a_second": found.tasks / found.seconds,
        "entries_verified_a_second": found.entries / found.seconds,
        # The slices without a chain are problems of their own.
        "entries": found.entries,
    }


async def _all(home: Path) -> dict[str, float]:
    settings = Settings(worker_concurrency=8)
    async with open_runtime(settings) as runtime:
        return {**await _measured(runtime, settings), **await _verified(runtime, home)}


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder, stack(Path(folder)) as state:
        os.environ.update(variables(state))
        figures = asyncio.run(_all(Path(folder)))
    sys.stdout.write(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
