from itertools import chain, repeat
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negotiation.calibration.cusum import LIMIT, alarm, evidence


def run_lengths(alpha: float, wrong: float, runs: int, longest: int, seed: int = 1) -> list[int | None]:
    """Audits to the alarm; None where `longest` audits raise none."""
    rng = np.random.default_rng(seed)
    found = (alarm((rng.random(longest) < wrong).tolist(), alpha) for _ in range(runs))
    return [None if one is None else one.after for one in found]


def test_the_evidence_of_one_audit() -> None:
    added = evidence(0.05)
    assert exp(added.wrong) == pytest.approx(2.0)
    assert exp(added.right) == pytest.approx(0.90 / 0.95)


def test_twice_the_bound_stays_below_1() -> None:
    for alpha in (0.3, 0.5, 0.9, 0.999):
        added = evidence(alpha)
        assert added.wrong > 0 > added.right
    assert exp(evidence(0.6).wrong) == pytest.approx(0.8 / 0.6)


def test_errors_alone_alarm_as_soon_as_they_add_up() -> None:
    found = alarm([True] * 50, 0.05)
    assert found is not None
    assert (found.after, found.limit) == (7, LIMIT)  # 2^7 is the first power of 2 from 100 on
    assert found.statistic == pytest.approx(7 * log(2))


def test_what_was_right_before_is_no_credit_for_later() -> None:
    found = alarm(list(chain(repeat(False, 5000), repeat(True, 10))), 0.05)
    assert found is not None
    assert found.after == 5007


def test_no_audits_and_no_errors_alarm_nothing() -> None:
    assert alarm([], 0.05) is None
    assert alarm([False] * 20_000, 0.05) is None


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan")])
def test_a_bound_outside_0_and_1_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        alarm([], alpha)


@given(st.lists(st.booleans(), max_size=200), st.floats(0.01, 0.5), st.data())
def test_one_more_error_never_puts_an_alarm_off(errors: list[bool], alpha: float, data: st.DataObject) -> None:
    before = alarm(errors, alpha)
    if errors:
        errors[data.draw(st.integers(0, len(errors) - 1))] = True
    after = alarm(errors, alpha)
    assert before is None or (after is not None and after.after <= before.after)


@given(st.lists(st.booleans(), max_size=200), st.floats(0.01, 0.5))
def test_later_audits_do_not_change_an_alarm(errors: list[bool], alpha: float) -> None:
    found = alarm(errors, alpha)
    if found is not None:
        assert alarm(errors[: found.after], alpha) == found
        assert alarm([*errors, True, False], alpha) == found
        assert alarm(errors[: found.after - 1], alpha) is None


def test_in_control_the_first_false_alarm_is_far_off() -> None:
    """Docstring: 3,600 audits at 10 % and 1,600 at 20 %."""
    for alpha, mean, longest in ((0.1, 3600, 25_000), (0.2, 1600, 12_000)):
        lengths = run_lengths(alpha, alpha, 150, longest)
        assert np.mean([longest if one is None else one for one in lengths]) == pytest.approx(mean, rel=0.25)


def test_with_half_the_certified_errors_there_is_hardly_an_alarm() -> None:
    alarms = [one for one in run_lengths(0.05, 0.025, 150, 2000) if one is not None]
    assert len(alarms) <= 4


def test_twice_the_errors_are_found_soon() -> None:
    """Docstring: after 190 audits at 5 %."""
    lengths = [one for one in run_lengths(0.05, 0.1, 300, 3000) if one is not None]
    assert len(lengths) == 300
    assert np.mean(lengths) == pytest.approx(190, rel=0.15)
