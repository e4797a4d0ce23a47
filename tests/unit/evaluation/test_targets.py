import pytest

from evaluation.metrics import PilotMetrics
from evaluation.rates import Rate, pairing, rate
from evaluation.targets import verdicts


@pytest.mark.parametrize(
    ("wins", "losses", "state"), [(30, 5, "met"), (5, 30, "missed"), (12, 10, "undecided"), (0, 0, "undecided")]
)
def test_beating_the_best_baseline_takes_a_significant_win(
    metrics: PilotMetrics, wins: int, losses: int, state: str
) -> None:
    pairs = metrics.pairings | {"best_persona:risk": pairing(wins, losses, 100)}
    assert verdicts(metrics.model_copy(update={"pairings": pairs}), None)[0].state == state


@pytest.mark.parametrize(
    ("sla", "state"),
    [(rate(1000, 1000), "met"), (rate(50, 100), "missed"), (rate(19, 20), "undecided"), (rate(0, 0), "no data")],
)
def test_sla_is_met_or_missed_only_as_a_whole_interval(metrics: PilotMetrics, sla: Rate, state: str) -> None:
    assert verdicts(metrics.model_copy(update={"sla": sla}), None)[1].state == state


def test_the_change_is_against_the_reference(metrics: PilotMetrics) -> None:
    before = metrics.model_copy(update={"success_all": rate(40, 100)})
    assert verdicts(metrics, before)[0].change.startswith("+30.0 pp [+16")
    assert verdicts(metrics, None)[0].change == "no reference"


def test_without_outcomes_there_is_no_verdict(metrics: PilotMetrics) -> None:
    unknown = {name: rate(0, 0) for name in metrics.baselines}
    assert verdicts(metrics.model_copy(update={"baselines": unknown}), None)[0].state == "no data"
