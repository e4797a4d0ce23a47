from evaluation.metrics import PilotMetrics
from evaluation.table import as_rows


def test_rows_hold_value_with_interval_and_the_previous(metrics: PilotMetrics) -> None:
    before = metrics.model_copy(update={"total": 50, "baselines": {}})
    rows = {name: (value, previous) for name, value, previous in as_rows(metrics, before)}
    assert rows["Tasks"] == ("100", "50")
    assert rows["Success over all"] == ("70.0 % [60.4, 78.1] (n = 100)",) * 2
    assert rows["  baseline best_persona:risk"] == ("60.0 % [50.2, 69.1] (n = 100)", "–")
    assert rows["Waiting for a person now"][0] == "2, the oldest for 2.0 h"
    assert rows["Latency p95"][0] == "3.2 min (n = 98)"
    assert rows["Rounds"][0] == "1: 75.0 %, 2: 25.0 %"
    assert rows["  wrong to right less right to wrong, round 1"][0] == "+4 (7 less 3 of 25, p = 0.34)"
    assert rows["Tokens per success"][0] == "100"


def test_without_a_reference_the_last_column_is_empty(metrics: PilotMetrics) -> None:
    assert {row[2] for row in as_rows(metrics, None)} == {"–"}
