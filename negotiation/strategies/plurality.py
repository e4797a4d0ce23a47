"""Plurality: one vote each, most votes win."""

from collections.abc import Sequence

from negotiation.strategy import Count, NoParameters, count_linear
from negotiation.votes import Vote


class Plurality:
    """s_x = number of votes for x."""

    Parameters = NoParameters

    def count(self, votes: Sequence[Vote], options: Sequence[str], parameters: NoParameters) -> Count:
        """Score every option by its votes."""
        return count_linear(votes, options, lambda vote: 1.0, "one vote each")

    def least_share(self, parameters: NoParameters) -> float:
        """No share is asked for."""
        return 0.0

    def rule(self, parameters: NoParameters) -> str:
        """The rule's name."""
        return "plurality"
