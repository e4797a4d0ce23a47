"""Supermajority(theta): one vote each; the leader needs at least theta of the votes cast, compared exactly."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from pydantic import Field, field_validator

from domain.model import Frozen
from negotiation.fractions import exact_fraction
from negotiation.learned import Learned
from negotiation.strategy import Count, OneVoteEach, count_linear, require
from negotiation.votes import Vote


class SupermajorityParameters(Frozen):
    """How large the majority must be."""

    theta: Fraction = Field(default=Fraction(2, 3))
    """Least share of the votes cast, above 1/2: a fraction such as "2/3", or a number, taken as it is written."""

    @field_validator("theta", mode="before")
    @classmethod
    def _exactly(cls, value: Any) -> Fraction:
        if isinstance(value, bool) or not isinstance(value, str | int | float | Fraction):
            raise ValueError("expected a number or a fraction such as 2/3")
        # As text: 0.6 is meant as 3/5, not as the binary number next to it.
        theta = exact_fraction(str(value))
        if theta * 2 <= 1:
            raise ValueError(f"expected a share above 1/2, got {theta}")
        return theta


class Supermajority(OneVoteEach):
    """s_x = number of votes for x; decided when s_x >= theta |casting|."""

    Parameters = SupermajorityParameters

    def count(
        self,
        votes: Sequence[Vote],
        options: Sequence[str],
        parameters: SupermajorityParameters,
        learned: Learned | None,
    ) -> Count:
        """Score every option by its votes."""
        over, under = parameters.theta.numerator, parameters.theta.denominator
        count = count_linear(votes, options, [1.0] * len(votes))
        return require(count, votes, lambda own, casting: own * under >= over * casting, f"{over}/{under} is needed")

    def least_share(self, parameters: SupermajorityParameters) -> float:
        """Theta."""
        return float(parameters.theta)

    def rule(self, parameters: SupermajorityParameters) -> str:
        """The rule's name with theta."""
        return f"supermajority(theta={parameters.theta})"
