"""Attack the gate and whole tasks, compare with the baseline, keep the run; a regression fails the flow's run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import RedTeamRegression, StackError
from domain.settings import Settings
from guardrails.redteam.baseline import SHIPPED, Baseline
from guardrails.redteam.scenarios import PILOT
from orchestration.redteam import run
from orchestration.redteam.report import Report, as_markdown
from storage.engine import async_engine


@flow(name="red_team", flow_run_name="red team {task_type}", persist_result=False)
async def red_team(
    task_type: str = PILOT, corpora: list[str] | None = None, baseline: str = SHIPPED, every: int | None = 1
) -> dict[str, Any]:
    """Run the red team's texts through the task type's gate, and its scenarios through whole tasks.

    `every`: only each so-manieth scenario; None: texts alone. Raises RedTeamRegression.
    """
    limits = await find_baseline(task_type, baseline)
    judged = await judge_texts(task_type, corpora or [])
    played = None if every is None else await play_scenarios(every)
    report = run.report_of(task_type, judged, played, baseline, limits)
    await keep(report)
    await publish(report)
    if not report.passed:
        raise RedTeamRegression("; ".join(report.failures))
    return report.model_dump(mode="json")


@task(name="find_baseline", retries=1, cache_policy=NO_CACHE, persist_result=False)
async def find_baseline(task_type: str, name: str) -> Baseline:
    """What the gate is held to."""
    async with _transaction() as connection:
        return await run.baseline_of(task_type, name, connection)


@task(name="judge_texts", cache_policy=NO_CACHE, persist_result=False)
async def judge_texts(task_type: str, corpora: list[str]) -> run.Texts:
    """Every text at every hop where it can stand."""
    return await run.texts(task_type, Settings().catalog, [Path(file) for file in corpora])


@task(name="play_scenarios", cache_policy=NO_CACHE, persist_result=False)
async def play_scenarios(every: int) -> run.Played:
    """Whole tasks, in a database of their own beside the stack's."""
    return await run.scenarios(_dsn(), every=every)


@task(name="keep_run", retries=1, cache_policy=NO_CACHE, persist_result=False)
async def keep(report: Report) -> None:
    """The figures, for later runs to compare with."""
    async with _transaction() as connection:
        await run.store(connection, report)


async def publish(report: Report) -> None:
    """The table in Prefect's UI, and the event that others may wait for."""
    key = f"red-team-{report.task_type.replace('_', '-')}"
    await acreate_markdown_artifact(markdown=as_markdown(report), key=key)
    emit_event(
        event="parley.red_team.finished",
        resource={"prefect.resource.id": f"parley.redteam.{report.id}", "prefect.resource.name": report.task_type},
        payload={"task_type": report.task_type, "run": report.id, "passed": report.passed},
    )


def _dsn() -> str:
    # Read where it is used and never passed on: parameters of a Prefect task are recorded, and this holds a password.
    dsn = Settings().database_url
    if dsn is None:
        raise StackError("DATABASE_URL is not set: run this where `parley up` has started a stack")
    return dsn


@asynccontextmanager
async def _transaction() -> AsyncIterator[AsyncConnection]:
    engine = async_engine(_dsn(), size=1)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()
