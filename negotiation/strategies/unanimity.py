"""Unanimity: one vote each; all votes cast must be for one option."""

from collections.abc import Sequence

from negotiation.learned import Learned
from negotiation.strategy import Count, NoParameters, OneVoteEach, count_linear, require
from negotiation.votes import Vote


class Unanimity(OneVoteEach):
    """s_x = number of votes for x; decided when s_x = |casting|. An abstention does not stand against it."""

    Parameters = NoParameters

    def count(
        self, votes: Sequence[Vote], options: Sequence[str], parameters: NoParameters, learned: Learned | None
    ) -> Count:
        """Score every option by its votes."""
        count = count_linear(votes, options, [1.0] * len(votes))
        return require(count, votes, lambda own, casting: own == casting, "all are needed")

    def least_share(self, parameters: NoParameters) -> float:
        """All."""
        return 1.0

    def rule(self, parameters: NoParameters) -> str:
        """The rule's name."""
        return "unanimity"
