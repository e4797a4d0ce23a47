"""Evaluate a pilot over a period: data quality, metrics, drift, report."""

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.context import TaskRunContext
from prefect.events import emit_event
from sqlalchemy import Connection

from catalog.load import load_catalog
from domain.canonical import digest
from domain.errors import StackError
from domain.settings import Settings
from domain.task_type import TaskType
from evaluation.choosing import Choice, Request, choose
from evaluation.drift import DriftResult, evidently_report
from evaluation.metrics import METRICS_VERSION, PilotMetrics, compute, fingerprint
from evaluation.period import Period
from evaluation.quality import Quality, check
from evaluation.report import Rendered, Subject, render
from evaluation.sample import read_sample
from evaluation.store import save_metrics, save_report
from storage.engine import sync_engine, sync_url
from storage.sessions import LONG_IDLE_SECONDS
from tasks.executors import EXECUTORS


@flow(name="evaluate_pilot", flow_run_name="evaluate {task_type}")
def evaluate_pilot(
    task_type: str,
    since: str | None = None,
    until: str | None = None,
    batch_ids: list[str] | None = None,
    reference_since: str | None = None,
    reference_until: str | None = None,
    reference_batch_ids: list[str] | None = None,
) -> dict[str, Any]:
    """Evaluate the task type's tasks of a period (default: since the last report) and write the report."""
    kind = load_catalog(Settings().catalog, EXECUTORS).task_type(task_type)
    request = Request(
        task_type=task_type,
        since=since,
        until=until,
        batch_ids=None if batch_ids is None else tuple(batch_ids),
        reference_since=reference_since,
        reference_until=reference_until,
        reference_batch_ids=None if reference_batch_ids is None else tuple(reference_batch_ids),
    )
    periods = choose_periods(request)
    current_key, reference_key = data_key(kind, periods.current), data_key(kind, periods.reference)

    quality = check_quality(periods.current, current_key)
    metrics = compute_metrics(kind, periods.current, current_key)
    reference = compare_with(kind, periods.reference, reference_key)
    drift = find_drift(kind, periods, f"{current_key}-{reference_key}")

    subject = Subject(
        report_id=str(uuid.uuid4()),
        task_type=kind,
        period=periods.current,
        reference_period=periods.reference,
        made_at=datetime.now(UTC),
    )
    drift, rendered = write_report(subject, metrics, reference, quality, drift)
    result = describe(subject, metrics, reference, quality, drift, rendered)
    store_report(subject, metrics, quality, result)
    publish(subject, quality, rendered)
    return result


def choose_periods(request: Request) -> Choice:
    """The period to evaluate and the one before it."""
    with _reading() as connection:
        return choose(connection, request, datetime.now(UTC))


def data_key(kind: TaskType, period: Period | None) -> str:
    """What the results for a period depend on: its rows, the task type and how metrics are defined."""
    if period is None:
        return "none"
    with _reading() as connection:
        rows = fingerprint(connection, kind, period)
    definition = kind.model_dump(mode="json", exclude={"folder"})
    return digest({"rows": rows, "task_type": definition, "version": METRICS_VERSION})


def cache_by_data(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """The same data under the same definitions give the same result, whatever the period is called."""
    return f"{context.task.name}-{parameters['key']}"


@task(name="check_quality", cache_key_fn=cache_by_data, persist_result=True, retries=1)
def check_quality(period: Period, key: str) -> Quality:
    """Great Expectations over the period's rows."""
    return check(sync_url(_dsn()), period.task_type, period)


@task(name="compute_metrics", cache_key_fn=cache_by_data, persist_result=True, retries=1)
def compute_metrics(kind: TaskType, period: Period, key: str) -> PilotMetrics:
    """The metrics, counted in Postgres."""
    with _reading() as connection:
        return compute(connection, kind, period)


def compare_with(kind: TaskType, period: Period | None, key: str) -> PilotMetrics | None:
    """The reference period's metrics; None if it has no tasks."""
    metrics = compute_metrics(kind, period, key) if period else None
    return metrics if metrics and metrics.total else None


def find_drift(kind: TaskType, periods: Choice, key: str) -> DriftResult:
    """Evidently's report, made anew when the files that an earlier run left are gone."""
    folder = Settings().home / "reports" / "drift" / digest(key)[:32]
    gone = not (folder / "evidently.html").exists() or not (folder / "evidently.json").exists()
    return report_drift.with_options(refresh_cache=gone)(kind, periods, str(folder), key)


@task(name="report_drift", cache_key_fn=cache_by_data, persist_result=True, retries=1)
def report_drift(kind: TaskType, periods: Choice, folder: str, key: str) -> DriftResult:
    """Evidently over a sample of both periods."""
    with _reading() as connection:
        current = read_sample(connection, kind, periods.current)
        reference = read_sample(connection, kind, periods.reference) if periods.reference else None
    return evidently_report(current, reference, Path(folder))


def write_report(
    subject: Subject, metrics: PilotMetrics, reference: PilotMetrics | None, quality: Quality, drift: DriftResult
) -> tuple[DriftResult, Rendered]:
    """The report's folder, with Evidently's files beside the page so that it can be moved as a whole."""
    folder = Settings().home / "reports" / subject.report_id
    folder.mkdir(parents=True, mode=0o700)
    drift = drift.model_copy(
        update={
            "html_path": shutil.copy(drift.html_path, folder),
            "json_path": shutil.copy(drift.json_path, folder),
        }
    )
    return drift, render(metrics, reference, quality, drift, subject=subject, folder=folder)


def describe(
    subject: Subject,
    metrics: PilotMetrics,
    reference: PilotMetrics | None,
    quality: Quality,
    drift: DriftResult,
    rendered: Rendered,
) -> dict[str, Any]:
    """The result as plain JSON, also written as report.json."""
    path = Path(rendered.html_path).with_name("report.json")
    result: dict[str, Any] = {
        "report_id": subject.report_id,
        "task_type": subject.task_type.name,
        "period": subject.period.model_dump(mode="json"),
        "reference_period": subject.reference_period.model_dump(mode="json") if subject.reference_period else None,
        "html": rendered.html_path,
        "evidently_html": drift.html_path,
        "json": str(path),
        "markdown": rendered.markdown_path,
        "trusted": quality.trusted,
        "quality": quality.model_dump(mode="json"),
        "drift": drift.model_dump(mode="json"),
        "metrics": metrics.model_dump(mode="json"),
        "reference": reference.model_dump(mode="json") if reference else None,
    }
    path.write_text(json.dumps(result, indent=2, allow_nan=False), encoding="utf-8")
    return result


def store_report(subject: Subject, metrics: PilotMetrics, quality: Quality, result: dict[str, Any]) -> None:
    """The metrics' rows and the report's, in one transaction."""
    engine = sync_engine(_dsn())
    with engine.begin() as connection:
        save_metrics(connection, subject.period, metrics)
        save_report(
            connection,
            subject.report_id,
            subject.period,
            trusted=quality.trusted,
            summary={
                "batch_ids": result["period"]["batch_ids"],
                "metrics": result["metrics"],
                "reference": result["reference"],
                "quality": result["quality"],
            },
            html_path=result["html"],
            json_path=result["json"],
        )
    engine.dispose()


def publish(subject: Subject, quality: Quality, rendered: Rendered) -> None:
    """Artifacts in Prefect's UI, and the event that others may wait for."""
    name = subject.task_type.name
    key = f"evaluation-{name.replace('_', '-')}"
    create_link_artifact(
        link=Path(rendered.html_path).resolve().as_uri(), link_text=f"Evaluation of {name}", key=f"{key}-report"
    )
    create_markdown_artifact(markdown=rendered.markdown, key=key)
    emit_event(
        event="parley.evaluation.finished",
        resource={"prefect.resource.id": f"parley.report.{subject.report_id}", "prefect.resource.name": name},
        payload={"task_type": name, "report_id": subject.report_id, "trusted": quality.trusted},
    )


def _dsn() -> str:
    # Read where it is used and never passed on: parameters of a Prefect task are recorded, and this holds a password.
    dsn = Settings().database_url
    if dsn is None:
        raise StackError("DATABASE_URL is not set: evaluation needs the database's address")
    return dsn


@contextmanager
def _reading() -> Iterator[Connection]:
    """A transaction that sees one moment throughout."""
    engine = sync_engine(_dsn(), idle_seconds=LONG_IDLE_SECONDS, isolation_level="REPEATABLE READ")
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
