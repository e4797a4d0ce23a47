"""What a period is held against."""

from typing import Literal

from domain.model import Frozen
from evaluation.metrics import PilotMetrics
from evaluation.rates import Rate, difference
from evaluation.words import change, interval

SLA_TARGET = 0.95
"""Share of tasks that should end within their deadline, where nothing else is agreed."""
_SIGNIFICANT = 0.05


class Verdict(Frozen):
    """How one target stands. `undecided`: the data allow either answer."""

    target: str
    state: Literal["met", "missed", "undecided", "no data"]
    value: str
    change: str
    """Against the reference period."""
    why: str


def verdicts(metrics: PilotMetrics, reference: PilotMetrics | None) -> tuple[Verdict, ...]:
    """One verdict per target."""
    return (_beats_baseline(metrics, reference), _sla(metrics, reference))


def _beats_baseline(metrics: PilotMetrics, reference: PilotMetrics | None) -> Verdict:
    target = "Right more often than the best simple rule"
    name = metrics.best_baseline()
    moved = _moved(metrics.success_all, reference.success_all if reference else None)
    if name is None:
        return Verdict(
            target=target, state="no data", value=interval(metrics.success_all), change=moved, why="no outcome is known"
        )
    pair = metrics.pairings[name]
    state: Literal["met", "missed", "undecided"] = "undecided"
    if pair.p < _SIGNIFICANT:
        state = "met" if pair.wins > pair.losses else "missed"
    why = f"{name} reaches {interval(metrics.baselines[name])}; on the same cases {pair.wins} won, {pair.losses} lost"
    return Verdict(
        target=target,
        state=state,
        value=interval(metrics.success_all),
        change=moved,
        why=f"{why}, p = {pair.p:.3g}",
    )


def _sla(metrics: PilotMetrics, reference: PilotMetrics | None) -> Verdict:
    rate = metrics.sla
    state: Literal["met", "missed", "undecided", "no data"] = "undecided"
    if rate.low is None or rate.high is None:
        state = "no data"
    elif rate.low >= SLA_TARGET:
        state = "met"
    elif rate.high < SLA_TARGET:
        state = "missed"
    return Verdict(
        target=f"At least {SLA_TARGET:.0%} end within the deadline",
        state=state,
        value=interval(rate),
        change=_moved(rate, reference.sla if reference else None),
        why="met or missed only when the whole interval lies on one side",
    )


def _moved(now: Rate, before: Rate | None) -> str:
    return "no reference" if before is None else change(difference(now, before))
