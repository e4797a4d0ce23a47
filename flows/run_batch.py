"""Submit a file of cases and follow them to their end, with progress in the Prefect UI."""

import asyncio
from pathlib import Path
from typing import Any, Literal

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact
from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.cases import read_cases
from domain.errors import StackError
from domain.settings import Settings
from domain.task import END_STATES, Lane, TaskStatus
from orchestration.submission import SubmittedBatch, batch_progress, submit_cases
from orchestration.wiring import catalog_of
from storage.engine import async_engine

SETTLED = frozenset(status.value for status in END_STATES) | {TaskStatus.PARKED.value}
POLL_SECONDS = 1.0


@flow(name="run_batch", flow_run_name="{task_type}-{lane}-{offset}")
async def run_batch(
    task_type: str,
    cases: str,
    limit: int | None = None,
    offset: int = 0,
    lane: Literal["direct", "traced"] = "direct",
    principal: str | None = None,
    seed: int = 0,
    priority: int = 0,
    batch_id: str | None = None,
) -> dict[str, Any]:
    """Submit `limit` cases from `offset` on, and return when each has ended or waits for a person."""
    settings = Settings()
    if settings.database_url is None:
        raise StackError("DATABASE_URL is not set: run this where `parley up` has started a stack")
    kind = catalog_of(settings).task_type(task_type)
    file = read_cases(kind, Path(cases), offset, limit)
    engine = async_engine(settings.database_url, size=2)
    try:
        batch = await submit_cases(
            engine,
            kind,
            file,
            source=cases,
            principal=principal or settings.principal,
            lane=Lane(lane),
            seed=seed,
            priority=priority,
            batch_id=batch_id,
        )
        counts = await _follow(engine, batch)
    finally:
        await engine.dispose()
    await _show(batch, counts)
    bad = [line.model_dump() for line in batch.bad]
    return {"batch_id": batch.batch_id, "counts": counts, "task_ids": list(batch.task_ids), "bad": bad}


async def _follow(engine: AsyncEngine, batch: SubmittedBatch) -> dict[str, int]:
    total = len(batch.task_ids)
    artifact = await acreate_progress_artifact(0.0, description=f"batch {batch.batch_id}")
    shown = 0.0
    while True:
        counts = await batch_progress(engine, batch.batch_id)
        share = 100.0 * sum(count for status, count in counts.items() if status in SETTLED) / total
        if share - shown >= 5.0 or share >= 100.0:
            shown = share
            await aupdate_progress_artifact(artifact, progress=share)
        if share >= 100.0:
            return counts
        await asyncio.sleep(POLL_SECONDS)


async def _show(batch: SubmittedBatch, counts: dict[str, int]) -> None:
    rows = "\n".join(f"| {status} | {count} |" for status, count in sorted(counts.items()))
    bad = "\n".join(f"- line {line.line}: {line.problem}" for line in batch.bad) or "none"
    await acreate_markdown_artifact(
        key=f"batch-{batch.batch_id}",
        markdown=f"| status | tasks |\n| --- | --- |\n{rows}\n\nLines that could not be used:\n\n{bad}\n",
        description="How the batch ended",
    )
