"""Majority: one vote each; the leader needs more than half of the votes cast."""

from collections.abc import Sequence

from negotiation.learned import Learned
from negotiation.strategy import Count, NoParameters, OneVoteEach, count_linear, require
from negotiation.votes import Vote


class Majority(OneVoteEach):
    """s_x = number of votes for x; decided when 2 s_x > |casting|. Half of them is not enough."""

    Parameters = NoParameters

    def count(
        self, votes: Sequence[Vote], options: Sequence[str], parameters: NoParameters, learned: Learned | None
    ) -> Count:
        """Score every option by its votes."""
        count = count_linear(votes, options, [1.0] * len(votes))
        return require(count, votes, lambda own, casting: 2 * own > casting, "more than half are needed")

    def least_share(self, parameters: NoParameters) -> float:
        """Half, which the leader has to exceed."""
        return 0.5

    def rule(self, parameters: NoParameters) -> str:
        """The rule's name."""
        return "majority"
