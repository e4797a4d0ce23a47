"""The rows that drift is looked for in."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from domain.task_type import TaskType
from evaluation.period import Period

if TYPE_CHECKING:
    import pandas as pd

LIMIT = 20_000
"""Rows at most: Evidently takes about 14 s of CPU for these."""

_QUERY = """
SELECT t.id, t.payload, t.status, coalesce(t.answer, '(none)') AS answer, t.escalated::text AS escalated,
  extract(epoch FROM t.ended_at - t.created_at)::float8 - t.parked_seconds AS latency_s,
  d.margin, d.rounds::float8 AS rounds,
  (SELECT avg(p.confidence) FROM proposals p WHERE p.task_id = t.id AND p.subtask_id = :answer AND p.struck IS NULL)
    AS confidence
FROM tasks t LEFT JOIN decisions d ON d.task_id = t.id AND d.subtask_id = :answer
WHERE t.task_type = :task_type AND t.created_at >= :since AND t.created_at < :until AND NOT t.dry_run
  AND (CAST(:batch_ids AS text[]) IS NULL OR t.batch_id = ANY(CAST(:batch_ids AS text[])))
ORDER BY md5(t.id) LIMIT :limit"""


def read_sample(connection: Connection, task_type: TaskType, period: Period, limit: int = LIMIT) -> "pd.DataFrame":
    """At most `limit` tasks, the same ones each time: results, and the payload fields that personas may see."""
    import pandas as pd  # 1.6 s, which only the drift stage should pay

    rows = connection.execute(
        text(_QUERY), {**period.bindings(), "answer": task_type.answer, "limit": limit}
    ).mappings()
    fields = _shown_fields(task_type)
    records: list[dict[str, Any]] = []
    for row in rows:
        results = {name: value for name, value in row.items() if name not in ("id", "payload")}
        records.append(results | {f"input.{name}": row["payload"].get(name) for name in fields})
    columns = ["status", "answer", "escalated", "latency_s", "margin", "rounds", "confidence"]
    return pd.DataFrame.from_records(records, columns=[*columns, *(f"input.{name}" for name in fields)])


def _shown_fields(task_type: TaskType) -> list[str]:
    """Scalar payload fields without those hidden from every persona, which have no place in a report either."""
    hidden = {name for spec in task_type.plan.subtasks for name in spec.context.hide}
    shown = {name for spec in task_type.plan.subtasks for name in spec.context.working} - hidden
    properties = task_type.payload_schema.get("properties", {})
    return [name for name, schema in properties.items() if name in shown and _is_scalar(schema)]


def _is_scalar(schema: dict[str, Any]) -> bool:
    """Whether the field holds one plain value, or null."""
    types = schema.get("type", ())
    types = {types} if isinstance(types, str) else set(types)
    return bool(types) and types <= {"number", "integer", "string", "boolean", "null"}
