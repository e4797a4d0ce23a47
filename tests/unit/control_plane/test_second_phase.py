"""What the demo's second phase says of itself."""

from typing import Any

import pytest

from control_plane.services.second_phase import against_first, coverage_in_words, every_strategy, skipped, why
from domain.calibration import Calibration
from evaluation.rates import rate
from tasks.calibrate import LeftOut
from tasks.calibration_words import Report


def _report(calibration: Calibration | None, cases: int, needed: int = 32) -> Report:
    return Report(
        task_type="credit_review",
        subtask_id="affordability",
        rule="calibrated_pool",
        alpha=0.2,
        delta=0.1,
        cases=cases,
        needed=needed,
        left_out=LeftOut(),
        calibration=calibration,
        stored=calibration is not None,
        certifies=False,
        words="",
    )


def _calibration(*rules: str) -> Calibration:
    certificates = [
        {"strategy": rule, "measure": "margin", "alpha": 0.2, "delta": 0.1, "threshold": None, "cases": 0, "reason": ""}
        for rule in rules
    ]
    return Calibration.model_validate(
        {
            "task_type": "credit_review",
            "subtask_id": "affordability",
            "version": 1,
            "strategy": "calibrated_pool",
            "panel": {"ann": 1},
            "options": 2,
            "mean_rate": 0.7,
            "reliabilities": [],
            "pool": None,
            "certificates": certificates,
            "debate": {"cases": 0, "wrong_to_right": 0, "right_to_wrong": 0},
            "first_case_at": "2026-01-01T00:00:00Z",
            "last_case_at": "2026-01-02T00:00:00Z",
            "fit_cases": 1,
            "certify_cases": 1,
            "test_cases": 1,
            "figures": {},
            "seed": 0,
        }
    )


def test_too_few_cases_skip_it_and_the_number_needed_is_said() -> None:
    for report in (_report(None, 25), _report(_calibration(), 31)):
        said = skipped(report)
        assert said is not None
        assert f"{report.cases} resolved cases are too few" in said
        assert "32 are needed" in said
    assert skipped(_report(_calibration(), 32)) is None


def test_every_measured_strategy_is_compared_by_name() -> None:
    assert every_strategy(_calibration("plurality", "consensus(tau=0.6667)", "borda")) == "borda,consensus,plurality"


def _found(now: tuple[int, int, int], before: tuple[int, int, int]) -> dict[str, Any]:
    """Each (right, decided alone, all)."""
    periods = {
        name: {
            "coverage": rate(alone, total).model_dump(),
            "success_decided": rate(right, alone).model_dump(),
        }
        for name, (right, alone, total) in (("metrics", now), ("reference", before))
    }
    return dict(periods)


def test_a_small_gain_is_said_to_be_within_noise() -> None:
    found = against_first(_found((88, 100, 300), (250, 295, 305)))
    assert found is not None
    assert found["p"] > 0.05
    assert found["difference"]["low"] < 0.0 < found["difference"]["high"]
    first, second = found["words"]
    assert "within noise" in first
    assert "p = " in first
    assert "fewer alone, 33.3 % of the cases against 96.7 %" in second
    assert "that alone makes no panel better" in second


def test_a_large_change_is_not_and_more_coverage_is_no_fewer() -> None:
    found = against_first(_found((190, 200, 200), (100, 200, 300)))
    assert found is not None
    assert found["p"] < 0.001
    assert "more than noise explains" in found["words"][0]
    assert "noise:" not in found["words"][0]
    assert "as many or more alone" in found["words"][1]


def test_nothing_is_compared_where_nothing_was_decided_alone() -> None:
    assert against_first(_found((0, 0, 300), (250, 295, 305))) is None
    assert against_first({"metrics": {}, "reference": None}) is None


def _row(name: str, decided: int, wrong: int, n: int = 100) -> dict[str, Any]:
    return {
        "strategy": name,
        "certified_coverage": rate(decided, n).model_dump(),
        "certified_error": rate(wrong, decided).model_dump(),
    }


def test_who_decides_more_and_who_errs_above_the_bound_is_said() -> None:
    rows = [_row("recorded", 30, 9), _row("pool", 30, 2), _row("plurality", 70, 12), _row("odds", 88, 19)]
    rows.append(_row("borda", 70, 12))
    more, above = coverage_in_words({"reference": "pool", "strategies": rows}, 0.2)
    assert "pool decides 30.0 %" in more
    assert "plurality, borda: 70.0 % (17.1 % of 70 wrong); odds: 88.0 % (21.6 % of 88 wrong)" in more
    assert above.endswith("odds: 21.6 % of 88 wrong")
    assert "plurality" not in above


def test_nothing_is_said_where_it_decides_most_within_the_bound() -> None:
    rows = [_row("recorded", 90, 90), _row("pool", 70, 7), _row("lead", 0, 0)]
    assert coverage_in_words({"reference": "pool", "strategies": rows}, 0.2) == []


@pytest.mark.parametrize(
    ("cause", "words"), [("below_threshold", "the certified threshold is not reached"), ("FIN-001", "policy FIN-001")]
)
def test_reasons_in_words(cause: str, words: str) -> None:
    assert why(cause) == words
