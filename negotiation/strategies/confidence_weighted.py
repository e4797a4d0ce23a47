"""Confidence-weighted: a linear opinion pool of the personas' stated confidences."""

from collections.abc import Sequence

from negotiation.strategy import Count, NoParameters, count_linear
from negotiation.votes import Vote


class ConfidenceWeighted:
    """s_x = sum of the confidences of those who vote for x."""

    Parameters = NoParameters

    def count(self, votes: Sequence[Vote], options: Sequence[str], parameters: NoParameters) -> Count:
        """Score every option by its confidences."""
        return count_linear(votes, options, lambda vote: vote.confidence, "stated confidence")

    def least_share(self, parameters: NoParameters) -> float:
        """No share is asked for."""
        return 0.0

    def rule(self, parameters: NoParameters) -> str:
        """The rule's name."""
        return "confidence_weighted"
