"""Evaluating a pilot through its flow."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any


def evaluate_pilot(
    task_type: str,
    since: datetime | None = None,
    batch_ids: Sequence[str] | None = None,
    reference_batch_ids: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Run the flow in this process, outside any event loop; metrics, reference and the reports' paths.

    Prefect is imported here, so PREFECT_API_URL and DATABASE_URL must stand in the environment by now.
    """
    from flows.evaluate_pilot import evaluate_pilot as flow

    return flow(
        task_type=task_type,
        since=None if since is None else since.isoformat(),
        batch_ids=None if batch_ids is None else list(batch_ids),
        reference_batch_ids=None if reference_batch_ids is None else list(reference_batch_ids),
    )


def as_rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(metric, value, value of the reference period) of what the flow found."""
    from evaluation.metrics import PilotMetrics
    from evaluation.table import as_rows as rows

    reference = found["reference"]
    return rows(
        PilotMetrics.model_validate(found["metrics"]),
        None if reference is None else PilotMetrics.model_validate(reference),
    )
