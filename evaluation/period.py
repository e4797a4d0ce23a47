"""Which tasks an evaluation looks at."""

from datetime import datetime
from typing import Any, Self

from pydantic import model_validator

from domain.model import Frozen


class Period(Frozen):
    """Tasks of one type created in [since, until), optionally of some batches only. Both times carry a zone."""

    task_type: str
    since: datetime
    until: datetime
    batch_ids: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise ValueError("since and until need a time zone")
        if self.since > self.until:
            raise ValueError("since is after until")
        return self

    def bindings(self) -> dict[str, Any]:
        """Values of the SQL parameters that `queries.SCOPE` names."""
        return {
            "task_type": self.task_type,
            "since": self.since,
            "until": self.until,
            "batch_ids": None if self.batch_ids is None else list(self.batch_ids),
        }

    def label(self) -> str:
        """One line for people; also the bucket under which the period's metrics are stored."""
        span = f"{self.since.isoformat(timespec='seconds')}/{self.until.isoformat(timespec='seconds')}"
        return span if self.batch_ids is None else f"{span} batches {','.join(self.batch_ids)}"
