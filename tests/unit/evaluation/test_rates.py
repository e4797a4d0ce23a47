import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.rates import difference, pairing, rate, unpaired_p


def test_wilson_interval_as_published() -> None:
    found = rate(81, 263)  # Newcombe 1998, table I: 0.2553 to 0.3662
    assert found.value == pytest.approx(0.3080, abs=1e-4)
    assert found.low == pytest.approx(0.2553, abs=1e-4)
    assert found.high == pytest.approx(0.3662, abs=1e-4)


def test_nothing_observed_has_no_value() -> None:
    assert rate(0, 0).value is None
    assert rate(0, 0).high is None


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_value_lies_in_its_interval_within_0_and_1(counts: tuple[int, int]) -> None:
    found = rate(*counts)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert -1e-12 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1 + 1e-12


def test_newcombe_difference_as_published() -> None:
    found = difference(rate(56, 70), rate(48, 80))  # Newcombe 1998, example (a): 0.0524 to 0.3339
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_no_difference_from_nothing() -> None:
    assert difference(rate(1, 2), rate(0, 0)) is None
    assert difference(rate(0, 0), rate(1, 2)) is None


def test_exact_mcnemar() -> None:
    assert pairing(8, 2, 50).p == pytest.approx(2 * (1 + 10 + 45) / 2**10)
    assert pairing(0, 0, 50).p == 1.0


def test_independent_shares_are_tested_exactly() -> None:
    # By hand: of 70 ways to choose 4 of 8, two are as extreme as 4 of 4 against 0 of 4.
    assert unpaired_p(rate(4, 4), rate(0, 4)) == pytest.approx(2 / 70)
    assert unpaired_p(rate(2, 4), rate(2, 4)) == pytest.approx(1.0)
    assert unpaired_p(rate(0, 0), rate(2, 4)) is None
