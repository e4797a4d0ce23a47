"""Fitting, certifying and measuring on cases that are not shared."""

from dataclasses import replace

import numpy as np
import pytest

from negotiation.calibration.cases import Case
from negotiation.calibration.fit import MOST_FIT, Fitted, calibrate, certificates, fit_learned, split
from negotiation.calibration.simulated import correlated, draw
from negotiation.votes import Vote

STRATEGIES = {"plurality": {}, "log_odds": {}, "calibrated_pool": {}, "consensus": {"tau": 0.75}}


def _bare(count: int) -> list[Case]:
    return [Case(f"case-{number}", (Vote("ann", "a", 0.5, 0),), "a") for number in range(count)]


def _panel(count: int, seed: int = 1) -> tuple[tuple[str, ...], list[Case]]:
    drawn = draw(correlated((0.9, 0.85, 0.8, 0.6), 3, shared=0.3), count, np.random.default_rng(seed))
    return drawn.options, drawn.cases


def _calibrated(count: int, alpha: float = 0.05, turned: bool = False, test: float = 1 / 3) -> Fitted:
    options, cases = _panel(count)
    return calibrate(options, cases[::-1] if turned else cases, STRATEGIES, alpha, 0.1, 5, test=test)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, (0, 0, 0)), (1, (1, 0, 0)), (3, (2, 1, 0)), (600, (300, 200, 100)), (8000, (MOST_FIT, 4000, 2000))],
)
def test_half_is_fitted_and_certifying_gets_twice_what_testing_gets(count: int, sizes: tuple[int, int, int]) -> None:
    cases = _bare(count)
    parts = split(cases, 1)
    assert (len(parts.fit), len(parts.certify), len(parts.test)) == sizes
    assert sorted(case.key for part in (parts.fit, parts.certify, parts.test) for case in part) == sorted(
        case.key for case in cases
    )


def test_the_split_goes_by_key_and_seed() -> None:
    cases = _bare(100)
    assert split(cases, 1) == split(cases[::-1], 1)
    assert split(cases, 1) != split(cases, 2)
    assert split(cases, 1, test=0.0).test == ()
    with pytest.raises(ValueError, match="test share"):
        split(cases, 1, test=1.0)


def test_cases_of_one_key_stay_together() -> None:
    cases = [Case(f"case-{number // 3}", (Vote("ann", "a", 0.5, 0),), "a") for number in range(99)]
    for seed in range(10):
        parts = split(cases, seed)
        keys = [{case.key for case in part} for part in (parts.fit, parts.certify, parts.test)]
        assert not keys[0] & keys[1]
        assert not keys[0] & keys[2]
        assert not keys[1] & keys[2]


def test_what_was_learned_serves_every_strategy() -> None:
    options, cases = _panel(200)
    learned = fit_learned(options, cases, 3, version=7)
    assert learned.version == 7
    assert learned.pool is not None
    assert set(learned.rates) == set(learned.pool.weights) == set(learned.sources)
    assert all(source.endswith(" of 200") for source in learned.sources.values())
    assert learned.certificates == {}


def test_a_calibration_holds_one_certificate_and_one_row_of_figures_a_strategy() -> None:
    found = _calibrated(1500)
    rules = {"plurality", "log_odds", "calibrated_pool", "consensus(tau=0.75)"}
    assert (
        {item.strategy for item in found.certificates} == rules == set(found.figures) == set(found.learned.certificates)
    )
    assert (found.fit_cases, found.certify_cases, found.test_cases) == (750, 500, 250)
    assert {item.cases for item in found.certificates} == {500}
    pool = found.figures["calibrated_pool"]
    assert pool["accuracy"] >= found.figures["plurality"]["accuracy"]
    assert pool["calibration_error"] < 0.08
    assert 0.0 < pool["certified_coverage"] <= 1.0
    assert pool["certified_error"] <= 0.08


def test_a_calibration_does_not_depend_on_the_order_of_the_cases() -> None:
    assert _calibrated(300) == _calibrated(300, turned=True)


def test_thresholds_are_proposed_without_the_cases_that_certify_them() -> None:
    """Whatever the certification cases are, a threshold is a score that some fit case had."""
    options, cases = _panel(1500)
    parts = split(cases, 5)
    learned = fit_learned(options, parts.fit, 5)
    (whole,) = certificates(options, parts, {"calibrated_pool": {}}, learned, 0.05, 0.1)
    half = replace(parts, certify=parts.certify[::2])
    (less,) = certificates(options, half, {"calibrated_pool": {}}, learned, 0.05, 0.1)
    assert (whole.cases, less.cases) == (500, 250)
    assert whole.threshold is not None
    assert less.threshold is not None


def test_a_stricter_bound_is_never_easier() -> None:
    strict = {item.strategy: item for item in _calibrated(1500, alpha=0.02).certificates}
    for item in _calibrated(1500).certificates:
        threshold = strict[item.strategy].threshold
        assert threshold is None or (item.threshold is not None and item.threshold <= threshold)


def test_few_cases_certify_nothing_and_say_so() -> None:
    found = _calibrated(60)
    assert {item.threshold for item in found.certificates} == {None}
    assert all(item.reason for item in found.certificates)
    assert all(row["certified_coverage"] == 0.0 for row in found.figures.values())


def test_without_test_cases_there_are_no_figures() -> None:
    found = _calibrated(300, test=0.0)
    assert found.figures == {}
    assert (found.certify_cases, found.test_cases) == (150, 0)


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(ValueError, match="no resolved cases"):
        fit_learned(("a", "b"), [], 1)
    with pytest.raises(ValueError, match="no resolved cases"):
        calibrate(("a", "b"), [], STRATEGIES, 0.05, 0.1, 1)
    with pytest.raises(ValueError, match="holds a vote"):
        fit_learned(("a", "b"), [Case("1", (), "a")], 1)
