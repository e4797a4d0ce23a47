"""What must hold after a soak, looked up in the rows, at the target and in the file of acknowledged submits."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bench.soak.load import SUBMITTER, Load
from bench.soak.parts import Worker
from bench.soak.variants import CALLED

LIMIT = 2500
"""An amount above it may be approved only with a person's consent: FIN-001 of the pilot's policies."""
SETTLED = "(status NOT IN ('submitted', 'running') AND NOT due)"
MEMORY_GROWTH = 0.25
"""A worker may take so much more in the last fifth of its life than in the second fifth."""
_LEAST_LIFE = 240.0

_TASKS = """
SELECT t.id, t.idempotency_key AS key, t.task_type, t.lane, t.status, t.reason, t.due, t.fence, t.crashes,
  (t.payload->>'Amount')::float AS amount, a.action, a.status AS action_status, a.attempts, a.kind,
  a.request->>'action' AS done_action, COALESCE(a.sent_at, a.at) AS sent,
  (SELECT count(*) FROM records r WHERE r.task_id = t.id) AS records,
  (SELECT count(*) FROM approvals p WHERE p.task_id = t.id) AS asked,
  (SELECT min(p.answered_at) FROM approvals p
   WHERE p.task_id = t.id AND p.status = 'approved' AND p.answered_by <> t.principal) AS consented,
  EXTRACT(EPOCH FROM t.ended_at - t.created_at) - t.parked_seconds AS seconds
FROM tasks t LEFT JOIN LATERAL (SELECT x.*, x.request->>'action' AS action FROM actions x WHERE x.task_id = t.id
  ORDER BY x.at LIMIT 1) a ON true WHERE t.principal = %s
"""


def load_tasks(dsn: str) -> list[dict[str, Any]]:
    """Every task that the soak submitted."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(_TASKS, (SUBMITTER,)).fetchall()


def unsettled(dsn: str) -> int:
    """How many tasks have neither ended nor wait for a person."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(f"SELECT count(*) FROM tasks WHERE NOT {SETTLED}").fetchone()
    return int(row[0]) if row else 0


def judge(load: Load, tasks: Sequence[Mapping[str, Any]], effects: Counter[str]) -> list[str]:
    """Every violation in words."""
    by_task = Counter({key.split("/", 1)[0]: 0 for key in effects})
    for key, count in effects.items():
        by_task[key.split("/", 1)[0]] += count
    found = [*load.wrong, *_lost(load, tasks)]
    found += [f"the effect {key} happened {count} times at the target" for key, count in effects.items() if count > 1]
    strangers = by_task.keys() - {row["id"] for row in tasks}
    found += [f"the target acted for {task_id}, which is no task" for task_id in sorted(strangers)]
    for row in tasks:
        found += _of_task(row, by_task[row["id"]] if row["task_type"] == CALLED else row["records"])
    return found


def _lost(load: Load, tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    standing: dict[str, list[str]] = {}
    for row in tasks:
        standing.setdefault(row["key"], []).append(row["id"])
    found = [f"the submit {key} was never acknowledged" for key in load.wanted.keys() - load.acknowledged.keys()]
    for key, task_id in load.acknowledged.items():
        held = standing.get(key, [])
        if held != [task_id]:
            found.append(f"the submit {key} was acknowledged as task {task_id}; in the database: {held or 'nothing'}")
    found += [f"nobody submitted {key}, yet it is a task" for key in standing.keys() - load.wanted.keys()]
    return found


def _of_task(row: Mapping[str, Any], effects: int) -> list[str]:
    name, status = f"task {row['id']} ({row['lane']}, {row['task_type']}, {row['status']})", row["status"]
    found = []
    if status in ("submitted", "running") or row["due"]:
        found.append(f"{name} has neither ended nor been parked")
    if status in ("failed", "expired", "quarantined", "cancelled"):
        found.append(f"{name}: an outage is no fault of a task: {row['reason']}")
    if effects > 1 or (status == "done") != (effects == 1):
        found.append(f"{name} had {effects} effects")
    if effects:
        found += _unapproved(name, row)
    return found


def _unapproved(name: str, row: Mapping[str, Any]) -> list[str]:
    needed = row["asked"] or (row["done_action"] == "approve" and row["amount"] > LIMIT)
    if needed and (row["consented"] is None or row["consented"] > row["sent"]):
        return [f"{name} acted without the consent that it needed"]
    return []


def memory_of(worker: Worker) -> tuple[dict[str, int], list[str]]:
    """A worker's memory over its last life, and whether it grew."""
    if len(worker.memory) < 10:
        return {}, []
    values = [mebibytes for _, mebibytes in worker.memory]
    fifth = len(values) // 5
    early, late = statistics.median(values[fifth : 2 * fifth]), statistics.median(values[-fifth:])
    lived = worker.memory[-1][0]
    told = {
        "lived_s": round(lived),
        "first_mib": round(values[0]),
        "second_fifth_mib": round(early),
        "last_fifth_mib": round(late),
        "highest_mib": round(max(values)),
    }
    grew = lived >= _LEAST_LIFE and late > (1 + MEMORY_GROWTH) * early
    return told, [f"{worker.name} grew from {early:.0f} to {late:.0f} MiB"] if grew else []


def spread(values: Sequence[float]) -> dict[str, float]:
    """Percentiles, in seconds."""
    if not values:
        return {}
    ordered = sorted(values)
    at = {f"p{share}": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 90, 95, 99)}
    return {name: round(value, 3) for name, value in {**at, "max": ordered[-1]}.items()}


def failed_runs(dsn: str) -> dict[str, int]:
    """Runs that failed by themselves, by their error."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT left(data->>'error', 160) FROM events WHERE event = 'run.failed'").fetchall()
    return dict(Counter(str(row[0]) for row in rows))


def flow_runs(dsn: str) -> dict[str, int]:
    """Prefect's own view: how many flow runs it has in each state."""
    with psycopg.connect(dsn) as connection:
        return dict(connection.execute("SELECT state_type::text, count(*) FROM flow_run GROUP BY 1").fetchall())
