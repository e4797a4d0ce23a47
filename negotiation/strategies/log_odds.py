"""Log-odds: every vote weighs what its persona's record says (Nitzan and Paroush, 1982)."""

from collections.abc import Sequence
from math import log
from typing import Literal

from negotiation.learned import Learned
from negotiation.strategy import Count, NoParameters, count_log_odds
from negotiation.votes import Vote


def log_odds(rate: float, options: int) -> float:
    """log((K - 1) p / (1 - p)) for K options; 0 for a persona below chance: a vote is never inverted."""
    return max(0.0, log(max(1, options - 1) * rate / (1.0 - rate)))


class LogOdds:
    """S_x = sum of log((K - 1) p_a / (1 - p_a)) over those who vote for x; Bayes' rule where they err independently."""

    Parameters = NoParameters
    needs: Literal["nothing", "rates", "pool"] = "rates"
    measure: Literal["margin", "posterior"] = "posterior"

    def count(
        self, votes: Sequence[Vote], options: Sequence[str], parameters: NoParameters, learned: Learned | None
    ) -> Count:
        """Score every option by its voters' records."""
        if learned is None:
            raise ValueError("log_odds needs the personas' reliabilities")
        return count_log_odds(votes, options, [log_odds(learned.rate(vote.persona), len(options)) for vote in votes])

    def least_share(self, parameters: NoParameters) -> float:
        """No share is asked for."""
        return 0.0

    def source(self, vote: Vote, parameters: NoParameters, learned: Learned | None) -> str:
        """The persona's record."""
        if learned is None:
            return "no record"
        seen = learned.sources.get(vote.persona, "no case yet")
        return f"log-odds of reliability {learned.rate(vote.persona):.3f} ({seen}), calibration {learned.version}"

    def rule(self, parameters: NoParameters) -> str:
        """The rule's name."""
        return "log_odds"
