"""Evaluating a pilot through its flow."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any


async def evaluate_pilot(
    task_type: str,
    folder: Path,
    since: datetime | None,
    batch_ids: Sequence[str] | None,
    reference_batch_ids: Sequence[str] | None,
) -> dict[str, Any]:
    """Run the flow in this process; metrics, reference and the reports' paths.

    Prefect is imported here, so PREFECT_API_URL must stand in the environment by now.
    """
    from flows.evaluate_pilot import evaluate_pilot as flow

    found: dict[str, Any] = await flow(
        task_type=task_type,
        since=since,
        batch_ids=None if batch_ids is None else list(batch_ids),
        reference_batch_ids=None if reference_batch_ids is None else list(reference_batch_ids),
        folder=str(folder),
    )
    return found
