"""Confidence-weighted: a linear opinion pool of the personas' stated confidences."""

from collections.abc import Sequence
from typing import Literal

from negotiation.learned import Learned
from negotiation.strategy import Count, NoParameters, count_linear
from negotiation.votes import Vote


class ConfidenceWeighted:
    """s_x = sum of the confidences of those who vote for x."""

    Parameters = NoParameters
    needs: Literal["nothing", "rates", "pool"] = "nothing"
    measure: Literal["margin", "posterior"] = "margin"

    def count(
        self, votes: Sequence[Vote], options: Sequence[str], parameters: NoParameters, learned: Learned | None
    ) -> Count:
        """Score every option by its confidences."""
        return count_linear(votes, options, [vote.confidence for vote in votes])

    def least_share(self, parameters: NoParameters) -> float:
        """No share is asked for."""
        return 0.0

    def source(self, vote: Vote, parameters: NoParameters, learned: Learned | None) -> str:
        """The persona's own word."""
        return "stated confidence"

    def rule(self, parameters: NoParameters) -> str:
        """The rule's name."""
        return "confidence_weighted"
