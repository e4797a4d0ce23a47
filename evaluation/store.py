"""Where evaluations are kept: the tables `metrics` and `reports`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from domain.model import Frozen
from evaluation.metrics import METRICS_VERSION, PilotMetrics
from evaluation.period import Period
from evaluation.rates import Rate
from storage.evaluation_tables import metrics as metrics_table
from storage.evaluation_tables import reports
from storage.tables import tasks


class Stored(Frozen):
    """One row of `metrics`, without its key's bucket and version."""

    segment: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int


def save_metrics(connection: Connection, period: Period, metrics: PilotMetrics) -> int:
    """Upsert the period's metrics under (bucket, segment, metric, version). How many rows that is."""
    key = {"bucket": period.label(), "version": METRICS_VERSION}
    rows = [key | row.model_dump() for row in _rows(period.task_type, metrics)]
    statement = insert(metrics_table).values(rows)
    fresh = {name: statement.excluded[name] for name in ("value", "low", "high", "n")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["bucket", "segment", "metric", "version"], set_=fresh | {"computed_at": func.now()}
        )
    )
    return len(rows)


def save_report(
    connection: Connection,
    report_id: str,
    period: Period,
    *,
    trusted: bool,
    summary: dict[str, Any],
    html_path: str,
    json_path: str,
) -> None:
    """Insert the report's row."""
    connection.execute(
        insert(reports).values(
            id=report_id,
            task_type=period.task_type,
            since=period.since,
            until=period.until,
            trusted=trusted,
            summary=summary,
            html_path=html_path,
            json_path=json_path,
        )
    )


def last_period(connection: Connection, task_type: str) -> Period | None:
    """The period of the report on the task type that reached furthest; None before the first.

    Reports on single batches do not count: they say nothing of the other tasks of their time.
    """
    query = (
        select(reports.c.since, reports.c.until)
        .where(reports.c.task_type == task_type, reports.c.summary["batch_ids"].astext.is_(None))
        .order_by(reports.c.until.desc(), reports.c.since)
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else Period(task_type=task_type, since=row.since, until=row.until)


def first_created(connection: Connection, task_type: str, batch_ids: tuple[str, ...] | None = None) -> datetime | None:
    """When the first task of the type (and of those batches) was created; None if there is none."""
    query = select(func.min(tasks.c.created_at)).where(tasks.c.task_type == task_type, ~tasks.c.dry_run)
    if batch_ids is not None:
        query = query.where(tasks.c.batch_id.in_(batch_ids))
    found: datetime | None = connection.scalar(query)
    return found


def _rows(segment: str, metrics: PilotMetrics) -> Iterator[Stored]:
    for name, rate in _rates(metrics).items():
        yield Stored(segment=segment, metric=name, value=rate.value, low=rate.low, high=rate.high, n=rate.n)
    votes = sum(bin.n for bin in metrics.calibration)
    plain: tuple[tuple[str, float | None, int], ...] = (
        ("latency_p50_s", metrics.latency_p50_s, metrics.ended),
        ("latency_p95_s", metrics.latency_p95_s, metrics.ended),
        ("brier", metrics.brier, votes),
        ("calibration_error", metrics.calibration_error, votes),
        ("parked", metrics.parked, metrics.total),
        ("parked_oldest_seconds", metrics.parked_oldest_seconds, metrics.parked),
        ("tokens", metrics.tokens, metrics.total),
        ("tokens_per_success", metrics.tokens_per_success, metrics.successes),
        *((f"rounds:{rounds}", count, sum(metrics.rounds.values())) for rounds, count in metrics.rounds.items()),
        *((f"status:{status}", count, metrics.total) for status, count in metrics.statuses.items()),
        *(
            (f"verdict:{policy}:{effect}", count, metrics.total)
            for policy, effects in metrics.verdicts.items()
            for effect, count in effects.items()
        ),
    )
    for number, pair in metrics.debate.items():
        plain += ((f"debate:{number}", pair.wins - pair.losses, pair.n),)
    for name, value, n in plain:
        yield Stored(segment=segment, metric=name, value=value, low=None, high=None, n=n)
    for part in metrics.segments:
        for name, rate in (("success_all", part.success), ("escalation", part.escalation)):
            yield Stored(
                segment=f"{segment}/{part.strategy}",
                metric=name,
                value=rate.value,
                low=rate.low,
                high=rate.high,
                n=rate.n,
            )


def _rates(metrics: PilotMetrics) -> dict[str, Rate]:
    named = {
        "success_all": metrics.success_all,
        "success_decided": metrics.success_decided,
        "coverage": metrics.coverage,
        "escalation": metrics.escalation,
        "sla": metrics.sla,
    }
    return named | {f"baseline:{name}": rate for name, rate in metrics.baselines.items()}
