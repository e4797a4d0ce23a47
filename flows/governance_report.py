"""Report what was decided, asked, overridden and denied: the same report as `parley governance report`."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_link_artifact, acreate_markdown_artifact
from prefect.events import emit_event

from catalog.load import load_catalog
from domain.errors import InputError, StackError
from domain.settings import Settings
from evaluation.governance.page import as_markdown
from evaluation.governance.report import Follow, Made, make_report
from evaluation.governance.window import Window
from orchestration.governing import files_of, under_newest
from storage.engine import async_engine
from storage.sessions import LONG_IDLE_SECONDS
from tasks.executors import EXECUTORS

PERIOD = timedelta(days=7)
"""What is reported where no --since is given."""
FORMATS = ("html", "csv")
_STEPS = 10


@flow(name="governance_report")
async def governance_report(
    task_type: str | None = None, since: str | None = None, until: str | None = None, by: str | None = None
) -> dict[str, Any]:
    """Write the page and the CSV (default: of the last seven days) and put the summary among Prefect's artifacts."""
    settings = Settings()
    if settings.database_url is None:
        raise StackError("DATABASE_URL is not set: run this where `parley up` has started a stack")
    if task_type is not None:
        load_catalog(settings.catalog, EXECUTORS).task_type(task_type)
    now, report_id = datetime.now(UTC), str(uuid.uuid4())
    end = _moment(until, "until") or now
    window = Window(since=_moment(since, "since") or end - PERIOD, until=end, task_type=task_type, by=by).check()
    engine = async_engine(settings.database_url, size=1, idle_seconds=LONG_IDLE_SECONDS)
    try:
        files = files_of(settings.home, report_id, FORMATS)
        under = under_newest(settings.home)
        made = await make_report(engine, window, under, files, report_id=report_id, made_at=now, follow=_logging())
    finally:
        await engine.dispose()
    await publish(made)
    return {"files": made.files, "sha256": made.sha256, "summary": made.summary.model_dump(mode="json")}


def _moment(text: str | None, name: str) -> datetime | None:
    """Raises InputError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{name}={text}: not a time: give 2026-01-31 or 2026-01-31T12:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _logging() -> Follow:
    """Progress in the run's log, at every tenth."""
    log, said = get_run_logger(), [-1]

    def follow(done: int, total: int) -> None:
        step = _STEPS * done // total if total else _STEPS
        if step > said[0]:
            said[0] = step
            log.info("%d of %d tasks", done, total)

    return follow


async def publish(made: Made) -> None:
    """Artifacts in Prefect's UI, counts alone, and the event that others may wait for."""
    summary = made.summary
    key = "governance" if summary.task_type is None else f"governance-{summary.task_type.replace('_', '-')}"
    link = Path(made.files["html"]).resolve().as_uri()
    await acreate_link_artifact(link=link, link_text="Governance report", key=f"{key}-report")
    await acreate_markdown_artifact(markdown=as_markdown(made.summary, made.sha256), key=key)
    emit_event(
        event="parley.governance.reported",
        resource={"prefect.resource.id": f"parley.governance.{summary.report_id}", "prefect.resource.name": key},
        payload={
            "report_id": summary.report_id,
            "holds": summary.chains.hold,
            "denials": summary.denials.total,
            "overrides": summary.approvals.overridden,
        },
    )
