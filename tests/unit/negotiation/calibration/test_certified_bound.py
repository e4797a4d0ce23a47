"""The certified bound on panels whose truth is known, and that the measurement would tell if it did not hold."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import bench.certified as measured
from bench.certified import CROWDED, KINDS, RULES, Sizes, Trial, holds, make_panel, run, score_arrays, trials
from domain.calibration import Certificate
from evaluation.rates import Rate, rate
from negotiation.calibration import fit
from negotiation.calibration.certify import certify
from negotiation.calibration.fit import certificates, fit_learned
from negotiation.calibration.scoring import score_cases
from negotiation.calibration.simulated import draw

ALPHA, DELTA = 0.05, 0.1
SMALL = Sizes(fit=120, certify=200, test=4000)


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return run(60, ALPHA, DELTA, SMALL)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The arrays are small: threads of the linear algebra only wait for one another."""
    with threadpool_limits(limits=1):
        yield


def crowded(rule: str) -> list[Trial]:
    found = [one for seed in range(5) for one in trials(CROWDED, seed, ALPHA, DELTA, Sizes(80, 150, 1000))]
    return [one for one in found if one.rule == rule]


def broken(found: list[Trial]) -> Rate:
    return rate(sum(one.broken for one in found), len(found))


@pytest.mark.parametrize("rule", RULES)
def test_the_bound_holds(figures: dict[str, Any], rule: str) -> None:
    assert all(figures[rule][kind]["holds"] for kind in (*KINDS, "all"))
    assert figures[rule]["all"]["panels"] == 60
    assert figures[rule]["all"]["certified"] >= 30
    assert figures[rule]["all"]["mean_error"] < ALPHA


@pytest.mark.parametrize("rule", RULES)
def test_a_threshold_picked_by_hand_breaks_it(figures: dict[str, Any], rule: str) -> None:
    picked = Rate.model_validate(figures[rule]["all"]["broken_picked_by_hand"])
    assert not holds(picked, DELTA)


def test_a_rule_that_ignores_delta_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(*given: Any) -> Certificate:
        return certify(*given[:5], 0.5)

    monkeypatch.setattr(fit, "certify", careless)
    found = run(60, ALPHA, DELTA, SMALL)
    assert [found[rule]["all"]["holds"] for rule in RULES] == [False, False]


def test_certifying_on_the_fit_cases_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert holds(broken(crowded("log_odds")), DELTA)

    def leaking(options: Any, parts: Any, *given: Any) -> tuple[Certificate, ...]:
        return certificates(options, replace(parts, certify=parts.fit), *given)

    monkeypatch.setattr(measured, "certificates", leaking)
    assert not holds(broken(crowded("log_odds")), DELTA)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_fresh_cases_are_scored_as_decisions_are(kind: str, rule: str) -> None:
    rng = np.random.default_rng(3)
    make = make_panel(kind, rng)
    learned = fit_learned(draw(make, 1, rng).options, draw(make, 60, rng).cases, 1)
    made = draw(make, 300, rng)
    expected = score_cases(rule, {}, made.options, made.cases, learned)
    fresh = score_arrays(rule, made, learned)
    assert [made.options[one] if one >= 0 else None for one in fresh.leader] == [one.leader for one in expected]
    assert fresh.score == pytest.approx(np.array([one.score for one in expected]), abs=1e-12)
    assert fresh.wrong.tolist() == [one.leader is not None and one.credit == 0.0 for one in expected]
