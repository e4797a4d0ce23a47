"""Whether the rows of a period can be trusted."""

import logging
import os
from typing import Any

from sqlalchemy import Connection, text

from domain.model import Frozen
from evaluation.expectations.lifecycle import RULES
from evaluation.period import Period
from storage.engine import sync_engine

_NAMED_ROWS = 10


class Failure(Frozen):
    """A rule that does not hold."""

    rule: str
    says: str
    count: int | None
    """How many rows break it; None where it could not be checked."""
    rows: tuple[str, ...]
    """The first of them: task ids, or values for a rule on one column."""
    error: str | None = None
    """Why it could not be checked."""


class Quality(Frozen):
    """What Great Expectations found."""

    trusted: bool
    checked: int
    """How many rules were run."""
    failures: tuple[Failure, ...]


def check(sync_url: str, task_type: str, period: Period) -> Quality:
    """Run the suite on the period's tasks. A rule that cannot be checked counts as broken."""
    if task_type != period.task_type:
        raise ValueError(f"the period is of {period.task_type}, not of {task_type}")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # Its temporary folders are nobody's news; warnings still pass.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    # Imported here because Great Expectations takes 7-10 s of CPU, which no other command should pay.
    from evaluation.expectations.suite import validate

    query = scope_query(period)
    results = [result.to_json_dict() for result in validate(sync_url, query)]
    engine = sync_engine(sync_url)
    try:
        with engine.connect() as connection:
            failures = tuple(_failure(connection, query, one) for one in results if not one["success"])
    finally:
        engine.dispose()
    return Quality(trusted=not failures, checked=len(results), failures=failures)


def scope_query(period: Period) -> str:
    """The period's tasks, as one statement without parameters, which a query asset cannot have."""
    query = (
        f"SELECT * FROM tasks WHERE task_type = {_literal(period.task_type)}"
        f" AND created_at >= CAST({_literal(period.since.isoformat())} AS timestamptz)"
        f" AND created_at < CAST({_literal(period.until.isoformat())} AS timestamptz)"
        " AND NOT dry_run"
    )
    if period.batch_ids is None:
        return query
    return f"{query} AND batch_id IN ({', '.join(_literal(one) for one in period.batch_ids) or 'NULL'})"


def _literal(value: str) -> str:
    # As hex, so that nothing in the value can end the literal or look like a parameter to any layer in between.
    return f"convert_from(decode('{value.encode().hex()}', 'hex'), 'UTF8')"


def _failure(connection: Connection, query: str, result: dict[str, Any]) -> Failure:
    meta = result["expectation_config"]["meta"]
    details = result["result"]
    error = _error(result["exception_info"])
    rows = tuple(str(value) for value in details.get("partial_unexpected_list", ())[:_NAMED_ROWS])
    rule = next((rule for rule in RULES if rule.id == meta["rule"]), None)
    if rule is not None and error is None:
        named = connection.execute(text(f"WITH t AS ({query}) {rule.query} ORDER BY 1 LIMIT {_NAMED_ROWS}"))
        rows = tuple(row[0] for row in named)
    count = details.get("unexpected_count", details.get("observed_value"))
    return Failure(rule=meta["rule"], says=meta["says"], count=count, rows=rows, error=error)


def _error(info: dict[str, Any]) -> str | None:
    """The first exception's message. The details lie one level deeper when a metric failed."""
    for one in (info, *(value for value in info.values() if isinstance(value, dict))):
        if one.get("raised_exception"):
            return str(one["exception_message"])
    return None
