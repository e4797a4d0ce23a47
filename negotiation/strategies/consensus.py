"""Consensus(tau): one vote each; the leader needs a share of at least tau of the votes cast."""

from typing import Any

from pydantic import Field, field_validator

from domain.model import Frozen
from negotiation.fractions import exact_fraction
from negotiation.strategy import OneVoteEach


class ConsensusParameters(Frozen):
    """How much agreement is asked for."""

    tau: float = Field(default=2 / 3, ge=0.5, le=1.0)
    """Least share of the votes cast, as a number or a fraction such as "2/3"."""

    @field_validator("tau", mode="before")
    @classmethod
    def _from_fraction(cls, value: Any) -> Any:
        return float(exact_fraction(value)) if isinstance(value, str) else value


class Consensus(OneVoteEach):
    """s_x = number of votes for x; decided when s_x / |casting| >= tau."""

    Parameters = ConsensusParameters

    def least_share(self, parameters: ConsensusParameters) -> float:
        """Tau."""
        return parameters.tau

    def rule(self, parameters: ConsensusParameters) -> str:
        """The rule's name with tau."""
        return f"consensus(tau={parameters.tau:.4g})"
