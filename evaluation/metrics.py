"""How a period went: counted in Postgres, with intervals."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from domain.model import Frozen
from domain.task import END_STATES
from domain.task_type import TaskType
from evaluation import queries
from evaluation.period import Period
from evaluation.rates import Pairing, Rate, pairing, rate

METRICS_VERSION = 2
"""Raise it when a definition changes: stored values of different versions are never compared."""

_WORST_CASES = 10


class Bin(Frozen):
    """One tenth of the confidence scale."""

    n: int
    confidence: float
    """Mean confidence stated."""
    accuracy: float
    """Share of these votes that were for the right action."""


class Segment(Frozen):
    """The tasks whose answer was negotiated with one strategy."""

    strategy: str
    total: int
    success: Rate
    escalation: Rate


class WorstCase(Frozen):
    """A task that the panel decided alone and wrongly."""

    task_id: str
    answer: str
    right_action: str
    margin: float | None
    rounds: int | None


class PilotMetrics(Frozen):
    """The figures of one period."""

    total: int
    ended: int
    decided_alone: int
    """Done without a person ever having been asked."""
    successes: int
    """Decided alone, with the action that the recorded outcome shows to be right."""
    outcomes_known: int
    escalated: int
    """Ever parked for a person."""
    parked: int
    parked_oldest_seconds: float | None
    success_all: Rate
    """Over every task with a recorded outcome."""
    success_decided: Rate
    """Over the tasks with a recorded outcome that were decided alone."""
    coverage: Rate
    """Share of all tasks that were decided alone."""
    escalation: Rate
    sla: Rate
    """Ended before the deadline (moved by the time parked), among the ended and those overdue."""
    latency_p50_s: float | None
    """created_at to ended_at without the time parked, of ended tasks; parked ones are censored."""
    latency_p95_s: float | None
    rounds: dict[int, int]
    """Rounds -> decisions, over all subtasks."""
    debate: dict[int, Pairing]
    """Round -> wins: put right by it; losses: put wrong; n: the cases with a known outcome that held it."""
    verdicts: dict[str, dict[str, int]]
    """Policy id -> effect -> count."""
    statuses: dict[str, int]
    baselines: dict[str, Rate]
    """`always:<action>` and `best_persona:<name>` on the rows of `success_all`."""
    personas: dict[str, Rate]
    """Each persona's first vote alone, on the same rows; no vote counts as wrong."""
    pairings: dict[str, Pairing]
    """The panel against each baseline, case by case."""
    brier: float | None
    """Mean squared error of the confidence in each persona's last vote on the answer."""
    calibration_error: float | None
    """Expected calibration error of the same votes, in ten bins."""
    calibration: tuple[Bin, ...]
    tokens: int
    """Prompt and completion tokens of all tasks."""
    segments: tuple[Segment, ...]
    worst: tuple[WorstCase, ...]
    """Wrong decisions with the largest margins."""

    @property
    def tokens_per_success(self) -> float | None:
        """Tokens spent in the period for each success; None without success."""
        return self.tokens / self.successes if self.successes else None

    def best_baseline(self) -> str | None:
        """The name of the baseline with the most hits; the first by name among equals."""
        known = [name for name in sorted(self.baselines) if self.baselines[name].n]
        return max(known, key=lambda name: self.baselines[name].hits, default=None)


class _Reader:
    """Runs the queries of one period."""

    def __init__(self, connection: Connection, task_type: TaskType, period: Period) -> None:
        self.connection = connection
        self.bindings: dict[str, Any] = {
            **period.bindings(),
            "end_states": sorted(END_STATES),
            "answer": task_type.answer,
            "limit": _WORST_CASES,
        }

    def rows(self, query: str) -> list[Any]:
        return list(self.connection.execute(text(query), self.bindings))

    def pairs(self, query: str) -> dict[Any, int]:
        return {key: count for key, count in self.rows(query)}


def compute(connection: Connection, task_type: TaskType, period: Period) -> PilotMetrics:
    """The metrics of the period's tasks. Ages are taken at the transaction's time."""
    connection.execute(text("SET LOCAL work_mem = '256MB'"))
    reader = _Reader(connection, task_type, period)
    counts = reader.rows(queries.COUNTS)[0]
    latency = counts.latency or [None, None]
    comparison = _baselines(reader, task_type, counts.successes)
    return PilotMetrics(
        total=counts.total,
        ended=counts.ended,
        decided_alone=counts.decided_alone,
        successes=counts.successes,
        outcomes_known=counts.outcomes_known,
        escalated=counts.escalated,
        parked=counts.parked,
        parked_oldest_seconds=_number(counts.parked_oldest_seconds),
        success_all=rate(counts.successes, counts.outcomes_known),
        success_decided=rate(counts.successes, counts.decided_known),
        coverage=rate(counts.decided_alone, counts.total),
        escalation=rate(counts.escalated, counts.total),
        sla=rate(counts.sla_met, counts.sla_known),
        latency_p50_s=_number(latency[0]),
        latency_p95_s=_number(latency[1]),
        rounds=reader.pairs(queries.ROUNDS),
        debate={row[0]: pairing(row[2], row[3], row[1]) for row in reader.rows(queries.DEBATE)},
        verdicts=_verdicts(reader),
        statuses=reader.pairs(queries.STATUSES),
        tokens=int(reader.rows(queries.TOKENS)[0][0]),
        segments=tuple(_segments(reader)),
        worst=tuple(
            WorstCase(**dict(zip(WorstCase.model_fields, row, strict=True))) for row in reader.rows(queries.WORST)
        ),
        **comparison,
        **_calibration(reader),
    )


def fingerprint(connection: Connection, task_type: TaskType, period: Period) -> str:
    """A digest of every row that an evaluation of the period reads; with open tasks, of the moment as well."""
    row = _Reader(connection, task_type, period).rows(queries.FINGERPRINT)[0]
    # An open task ages: what was computed a minute ago is not what would be computed now.
    moment = str(connection.scalar(text("SELECT clock_timestamp()"))) if row.open else ""
    return f"{row.digest}{moment}"


def _baselines(reader: _Reader, task_type: TaskType, successes: int) -> dict[str, Any]:
    right = {row[0]: (row[1], row[2]) for row in reader.rows(queries.RIGHT_ACTIONS)}
    n = sum(count for count, _ in right.values())
    baselines, pairings = {}, {}
    for action in (spec.name for spec in task_type.subtask(task_type.answer).actions):
        hits, both = right.get(action, (0, 0))
        baselines[f"always:{action}"] = rate(hits, n)
        pairings[f"always:{action}"] = pairing(successes - both, hits - both, n)
    rows = reader.rows(queries.PERSONAS) if n else []
    if rows:
        best = max(rows, key=lambda row: row.hits)
        name = f"best_persona:{best.persona}"
        baselines[name] = rate(best.hits, n)
        pairings[name] = pairing(successes - (best.hits - best.losses), best.losses, n)
    return {
        "baselines": baselines,
        "pairings": pairings,
        "personas": {row.persona: rate(row.hits, n) for row in rows},
    }


def _calibration(reader: _Reader) -> dict[str, Any]:
    rows = reader.rows(queries.CALIBRATION)
    n = sum(row.n for row in rows)
    bins = tuple(Bin(n=row.n, confidence=row.confidence, accuracy=row.accuracy) for row in rows)
    return {
        "brier": sum(row.squares for row in rows) / n if n else None,
        "calibration_error": sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / n if n else None,
        "calibration": bins,
    }


def _segments(reader: _Reader) -> Iterator[Segment]:
    for row in reader.rows(queries.SEGMENTS):
        yield Segment(
            strategy=row.strategy,
            total=row.total,
            success=rate(row.successes, row.outcomes_known),
            escalation=rate(row.escalated, row.total),
        )


def _verdicts(reader: _Reader) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for policy, effect, count in reader.rows(queries.VERDICTS):
        found.setdefault(policy, {})[effect] = count
    return found


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
