"""The same steps and rows as a DBOS workflow."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from dbos import DBOS
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.recording import Script, play


@dataclass
class _Now:
    """What the registered functions work on: DBOS records arguments, and these are too alive for that."""

    engine: AsyncEngine | None = None
    scripts: Mapping[str, Script] | None = None


_NOW = _Now()


@DBOS.step()
async def _step(task_id: str, position: int) -> str:
    assert _NOW.engine is not None
    assert _NOW.scripts is not None
    step = _NOW.scripts[task_id].steps[position]
    await play(_NOW.engine, task_id, step)
    return step.name


@DBOS.workflow()
async def _workflow(task_id: str) -> str:
    assert _NOW.scripts is not None
    said = ""
    for position in range(len(_NOW.scripts[task_id].steps)):
        said = await _step(task_id, position)
    return said


@contextmanager
def launched(system_dsn: str) -> Iterator[None]:
    """DBOS, with its system database there."""
    DBOS(config={"name": "bench", "system_database_url": system_dsn, "log_level": "ERROR"})
    DBOS.launch()
    try:
        yield
    finally:
        DBOS.destroy()
        # DBOS makes its own pool of threads the loop's, and leaves it there shut down.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


async def run_dbos(engine: AsyncEngine, scripts: Mapping[str, Script], at_once: int) -> float:
    """Seconds for all of them, so many at once."""
    _NOW.engine, _NOW.scripts = engine, scripts
    slots = asyncio.Semaphore(at_once)

    async def one(task_id: str) -> None:
        async with slots:
            await _workflow(task_id)

    begin = time.perf_counter()
    await asyncio.gather(*(one(task_id) for task_id in scripts))
    return time.perf_counter() - begin
