"""Theta is met exactly."""

from fractions import Fraction

import pytest

from negotiation.strategies import STRATEGIES
from negotiation.strategies.supermajority import SupermajorityParameters


@pytest.mark.parametrize(
    ("theta", "own", "other", "met"),
    [
        ("2/3", 2, 1, True),
        ("2/3", 1999, 1001, False),
        ("2/3", 2000, 1000, True),
        (0.67, 2, 1, False),
        (0.6, 3, 2, True),
        ("0.6", 3, 2, True),
        (0.7, 7, 3, True),
        (0.9, 9, 1, True),
        ("3/4", 3, 1, True),
        (1, 9, 0, True),
        (1.0, 9, 1, False),
    ],
)
def test_the_leader_needs_theta_of_the_votes_cast(votes, count, theta, own, other, met):
    found = count("supermajority", votes(*["a"] * own, *["b"] * other, None), theta=theta)
    assert found.leader == "a"
    assert (found.lacks is None) == met


def test_two_thirds_unless_said_otherwise(votes, count):
    assert count("supermajority", votes("a", "a", "b")).lacks is None
    assert count("supermajority", votes("a", "a", "a", "b", "b")).lacks == "3 of 5 votes; 2/3 is needed"


def test_the_rule_names_theta_as_a_fraction():
    strategy = STRATEGIES["supermajority"]
    for theta, name in (("2/3", "2/3"), (0.75, "3/4"), ("4/6", "2/3"), (1, "1")):
        parameters = strategy.Parameters.model_validate({"theta": theta})
        assert strategy.rule(parameters) == f"supermajority(theta={name})"
        assert strategy.least_share(parameters) == float(Fraction(name))


@pytest.mark.parametrize("theta", [0.5, "1/2", 0, -1, 1.01, "4/3", "most", None, True, [1], float("nan"), float("inf")])
def test_theta_is_above_a_half_and_at_most_one(theta):
    with pytest.raises(ValueError, match="theta"):
        SupermajorityParameters.model_validate({"theta": theta})
