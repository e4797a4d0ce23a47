"""What recorded tasks would have met under other policies. Nothing is written, and nobody is asked."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.load import Catalog
from control_plane.services.backtest_verdicts import REASONS, Again, Gates, again
from domain.errors import ParleyError
from domain.guard import Hop
from evaluation.rates import rate
from guardrails.gate import PLATFORM, load_candidate
from storage.repositories.judged import JudgedFilter, count_judged, judged_tasks
from storage.repositories.records import TaskRecords

CHANGES = ("newly_allowed", "newly_blocked", "changed")
EXAMPLES = 3
"""Task ids beside a policy."""
Follow = Callable[[int, int], None]
"""Told how many tasks are done, and of how many."""


@dataclass(frozen=True)
class BacktestRequest:
    """Which policies, on which tasks."""

    task_type: str
    policies: Sequence[Path]
    """In place of the task type's own."""
    platform: Path | None = None
    """In place of the platform's."""
    limit: int = 1000
    since: datetime | None = None
    limit_cases: int = 100
    """How many verdicts of each kind of change are listed at most; all are counted."""


@dataclass
class _Hop:
    verdicts: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    """`was -> now` -> how many."""
    missing: Counter[str] = field(default_factory=Counter)
    taint: Counter[int] = field(default_factory=Counter)


@dataclass
class _Found:
    """What the tasks gave, newest first."""

    hops: dict[str, _Hop] = field(default_factory=lambda: {hop.value: _Hop() for hop in Hop})
    policies: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    tasks: Counter[str] = field(default_factory=Counter)
    """Tasks with at least one verdict of that kind of change; `judged`, `partly` and `not_judged`."""
    cases: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {change: [] for change in CHANGES})
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Policy -> tasks that it changes something for."""
    recorded_under: Counter[str] = field(default_factory=Counter)


async def backtest(
    engine: AsyncEngine, catalog: Catalog, request: BacktestRequest, follow: Follow = lambda done, total: None
) -> dict[str, Any]:
    """Put what was judged before other policies, on the findings that were recorded. Plain JSON.

    Raises CatalogError for a broken candidate, UnknownTaskType, ParleyError where nothing is recorded.
    """
    kind = catalog.task_type(request.task_type)
    candidate = load_candidate(kind, request.policies, request.platform or PLATFORM)
    gates = Gates(kind, candidate, catalog.gate(kind.name))
    wanted = JudgedFilter(kind.name, request.limit, request.since)
    found, done = _Found(), 0
    async with engine.connect() as connection:
        # One moment of the database, whatever else goes on in it.
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        total = await count_judged(connection, wanted)
        if not total:
            raise ParleyError(f"{kind.name}: no judged task is recorded in this selection: run some tasks first")
        async for page in judged_tasks(connection, wanted):
            await asyncio.to_thread(_take, gates, page, found, request.limit_cases)
            done += len(page)
            follow(done, total)
    return _report(request, gates, found, done)


def _take(gates: Gates, page: Sequence[TaskRecords], found: _Found, limit_cases: int) -> None:
    for records in page:
        found.recorded_under.update({row["policy_hash"] for row in records.verdicts})
        verdicts = again(gates, records)
        for one in verdicts:
            _count(found, one, limit_cases)
        given = sum(one.now is not None for one in verdicts)
        found.tasks["judged" if given else "not_judged"] += 1
        found.tasks["partly"] += 0 < given < len(verdicts)
        found.tasks.update({one.change for one in verdicts if one.change in CHANGES})


def _count(found: _Found, one: Again, limit_cases: int) -> None:
    hop = found.hops[one.hop]
    hop.verdicts += 1
    if one.now is None:
        hop.missing[one.missing] += 1
        return
    hop.changes[one.change] += 1
    hop.taint[one.taint] += 1
    if one.change == "same":
        return
    effects = f"{one.was.value} -> {one.now.effect.value}"
    hop.effects[effects] += 1
    for name in one.policies:
        found.policies[name][one.change] += 1
        shown = found.examples[name]
        if one.task_id not in shown and len(shown) < EXAMPLES:
            shown.append(one.task_id)
    if len(found.cases[one.change]) < limit_cases:
        told = {"task_id": one.task_id, "key": one.key, "hop": one.hop, "effects": effects}
        found.cases[one.change].append({**told, "policies": list(one.policies), "reasons": list(one.now.reasons)})


def _report(request: BacktestRequest, gates: Gates, found: _Found, total: int) -> dict[str, Any]:
    judged = found.tasks["judged"]
    shares = {name: rate(found.tasks[name], judged).model_dump(mode="json") for name in CHANGES}
    return {
        "task_type": gates.kind.name,
        "policies": [str(file) for file in request.policies],
        "platform": str(request.platform or PLATFORM),
        "policy_hash": gates.candidate.policy_hash,
        "recorded_under": dict(found.recorded_under.most_common()),
        "tasks": {
            "total": total,
            "judged": judged,
            "partly": found.tasks["partly"],
            "not_judged": found.tasks["not_judged"],
            **shares,
        },
        "hops": {name: _hop(hop) for name, hop in found.hops.items() if hop.verdicts},
        "by_policy": {
            name: {**{change: counts[change] for change in CHANGES}, "tasks": found.examples[name]}
            for name, counts in sorted(found.policies.items(), key=lambda item: (-item[1].total(), item[0]))
        },
        "not_judged": {
            reason: {"verdicts": number, "why": REASONS[reason]}
            for reason, number in sum((hop.missing for hop in found.hops.values()), Counter()).most_common()
        },
        "cases": found.cases,
        "written": False,
    }


def _hop(hop: _Hop) -> dict[str, Any]:
    return {
        "verdicts": hop.verdicts,
        "judged": hop.changes.total(),
        "same": hop.changes["same"],
        **{change: hop.changes[change] for change in CHANGES},
        "effects": dict(hop.effects.most_common()),
        "not_judged": dict(hop.missing.most_common()),
        "newly_tainted": hop.taint[1],
        "no_longer_tainted": hop.taint[-1],
    }
