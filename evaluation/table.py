"""The figures as rows of three words, for a terminal and for the report."""

from collections.abc import Callable

from evaluation.metrics import PilotMetrics
from evaluation.rates import Pairing
from evaluation.words import NONE, interval, number, percent, seconds

_ROWS: tuple[tuple[str, Callable[[PilotMetrics], str]], ...] = (
    ("Tasks", lambda m: number(m.total)),
    ("Ended", lambda m: number(m.ended)),
    ("Outcomes known", lambda m: number(m.outcomes_known)),
    ("Success over all", lambda m: interval(m.success_all)),
    ("Success where decided alone", lambda m: interval(m.success_decided)),
    ("Decided alone (coverage)", lambda m: interval(m.coverage)),
    ("Escalated to a person", lambda m: interval(m.escalation)),
    ("Waiting for a person now", lambda m: _parked(m)),
    ("Ended within the deadline", lambda m: interval(m.sla)),
    ("Latency p50", lambda m: f"{seconds(m.latency_p50_s)} (n = {m.ended})"),
    ("Latency p95", lambda m: f"{seconds(m.latency_p95_s)} (n = {m.ended})"),
    ("Rounds", lambda m: _rounds(m)),
    ("Brier score of votes", lambda m: number(m.brier)),
    ("Calibration error of votes", lambda m: number(m.calibration_error)),
    ("Tokens", lambda m: number(m.tokens)),
    ("Tokens per success", lambda m: number(m.tokens_per_success, 0)),
)


def as_rows(metrics: PilotMetrics, reference: PilotMetrics | None) -> list[tuple[str, str, str]]:
    """The figures, then the verdicts of each policy."""
    return figures(metrics, reference) + _verdicts(metrics, reference)


def _debate(metrics: PilotMetrics, reference: PilotMetrics | None) -> list[tuple[str, str, str]]:
    before = reference.debate if reference else {}
    return [
        (f"  wrong to right less right to wrong, round {number}", _gain(pair), _gain(before.get(number)))
        for number, pair in sorted(metrics.debate.items())
    ]


def _gain(pair: Pairing | None) -> str:
    if pair is None:
        return NONE
    return f"{pair.wins - pair.losses:+d} ({pair.wins} less {pair.losses} of {pair.n}, p = {pair.p:.2g})"


def figures(metrics: PilotMetrics, reference: PilotMetrics | None) -> list[tuple[str, str, str]]:
    """(metric, value with interval, value of the reference period)."""
    rows = [(name, write(metrics), NONE if reference is None else write(reference)) for name, write in _ROWS]
    # Baselines stand under the success that they are to be compared with.
    at = next(index for index, row in enumerate(rows) if row[0] == "Success over all") + 1
    rows[at:at] = [
        (f"  baseline {name}", interval(rate), _baseline(reference, name)) for name, rate in metrics.baselines.items()
    ]
    at = next(index for index, row in enumerate(rows) if row[0] == "Rounds") + 1
    rows[at:at] = _debate(metrics, reference)
    return rows


def _verdicts(metrics: PilotMetrics, reference: PilotMetrics | None) -> list[tuple[str, str, str]]:
    before = reference.verdicts if reference else {}
    return [
        (f"Verdicts of {policy}", _effects(effects), _effects(before.get(policy, {})) if reference else NONE)
        for policy, effects in sorted(metrics.verdicts.items())
    ]


def _effects(effects: dict[str, int]) -> str:
    return ", ".join(f"{effect}: {number(count)}" for effect, count in sorted(effects.items())) or "0"


def _baseline(reference: PilotMetrics | None, name: str) -> str:
    rate = reference.baselines.get(name) if reference else None
    return NONE if rate is None else interval(rate)


def _parked(metrics: PilotMetrics) -> str:
    if not metrics.parked:
        return "0"
    return f"{metrics.parked}, the oldest for {seconds(metrics.parked_oldest_seconds)}"


def _rounds(metrics: PilotMetrics) -> str:
    total = sum(metrics.rounds.values())
    shares = (f"{rounds}: {percent(count / total)}" for rounds, count in sorted(metrics.rounds.items()))
    return ", ".join(shares) or NONE
