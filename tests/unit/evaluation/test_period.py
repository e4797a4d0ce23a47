from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from evaluation.period import Period

EARLY, LATE = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


def test_a_period_runs_forward_between_times_with_a_zone() -> None:
    with pytest.raises(ValidationError, match="since is after until"):
        Period(task_type="x", since=LATE, until=EARLY)
    with pytest.raises(ValidationError, match="time zone"):
        Period(task_type="x", since=EARLY.replace(tzinfo=None), until=LATE)


def test_the_label_tells_periods_apart() -> None:
    whole = Period(task_type="x", since=EARLY, until=LATE)
    part = Period(task_type="x", since=EARLY, until=LATE, batch_ids=("a", "b"))
    assert whole.label() == "2026-03-01T00:00:00+00:00/2026-03-02T00:00:00+00:00"
    assert part.label() == f"{whole.label()} batches a,b"
