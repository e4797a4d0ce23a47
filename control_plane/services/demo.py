"""What the next demo takes from the sample pilot's file, and what it shows afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.task import Lane
from domain.task_type import TaskType
from negotiation.force import to_calibrate
from storage.repositories import calibrations, listing
from storage.repositories.listing import Row
from tasks.calibrate import own_rule

PRINCIPAL = "demo"
TASK_TYPE = "credit_review"


@dataclass(frozen=True)
class DemoPeriod:
    """The rows of one period: first those of the direct lane, behind them those of the traced one. A demo has two."""

    number: int
    """From 1."""
    offset: int
    direct: int
    traced: int
    reference: Sequence[str]
    """Batches of the last period before it that was seen through; empty for the first."""


async def earlier_batches(engine: AsyncEngine, source: Path) -> Sequence[Row]:
    """The batches of all periods so far, oldest first."""
    async with engine.connect() as connection:
        return await listing.batches_of(connection, PRINCIPAL, str(source))


def next_offset(earlier: Sequence[Row]) -> int:
    """How many rows of the file earlier periods have used, the bad ones among them."""
    return sum(row["rows"] + len(row["bad"]) for row in earlier)


def next_period(earlier: Sequence[Row], count: int, traced: int, left: int) -> DemoPeriod | None:
    """The next period's rows, fewer at the file's end; None when none are left."""
    if left == 0:
        return None
    periods = _periods(earlier)
    seen_through = [period for period in periods if any(row["resolved"] for row in period)]
    reference = [row["id"] for row in seen_through[-1]] if seen_through else []
    shown = min(traced, left)
    return DemoPeriod(len(periods) + 1, next_offset(earlier), min(count, left - shown), shown, reference)


def _periods(earlier: Sequence[Row]) -> list[list[Row]]:
    """Batches by period: each period starts with its direct batch."""
    periods: list[list[Row]] = []
    for row in earlier:
        if row["lane"] == Lane.DIRECT or not periods:
            periods.append([])
        periods[-1].append(row)
    return periods


async def in_force_now(engine: AsyncEngine, kind: TaskType) -> str:
    """Which strategy decides the answer now, and by what."""
    async with engine.connect() as connection:
        standing = await calibrations.active(connection, kind.name, kind.answer)
    strategy = kind.subtask(kind.answer).strategy
    if standing is None:
        return f"{own_rule(strategy)}, as no calibration is active"
    version = standing.calibration.version
    return f"{own_rule(to_calibrate(strategy))}, as calibration {version} is {standing.status.value}"


async def tasks_of(engine: AsyncEngine, batch_ids: Sequence[str]) -> Sequence[Row]:
    """The tasks of these batches, oldest first."""
    async with engine.connect() as connection:
        return await listing.batch_tasks(connection, batch_ids)


def worth_explaining(tasks: Sequence[Row]) -> Row | None:
    """A task that came to an answer, the newest: it is a traced one, where there are any."""
    return next((row for row in reversed(tasks) if row["answer"] is not None), None)


def write_explanation(folder: Path, task_id: str, decisions: Sequence[dict[str, Any]]) -> Path:
    """Write why the task was decided so, as Markdown; the file's path."""
    from negotiation.explanation import as_markdown

    path = folder / f"explained-{task_id}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(as_markdown(found["explanation"]) for found in decisions), encoding="utf-8")
    return path
