"""Calibrated pool: a log-linear opinion pool whose weights are fitted on resolved cases, jointly for the panel."""

from collections.abc import Sequence
from math import log
from typing import Literal

from domain.calibration import PoolWeight
from negotiation.learned import Learned, pool_weight
from negotiation.strategy import Count, NoParameters, count_log_odds
from negotiation.votes import Vote

CLIP = 0.01
"""Confidences are clipped to [CLIP, 1 - CLIP] before their logit is taken."""


def logit(confidence: float) -> float:
    """log(c / (1 - c)) of the clipped confidence."""
    clipped = min(1.0 - CLIP, max(CLIP, confidence))
    return log(clipped / (1.0 - clipped))


class CalibratedPool:
    """S_x = sum of (s NP_a + d_a + (g + u_a) z_a) over those who vote for x; the posterior is the softmax over O."""

    Parameters = NoParameters
    needs: Literal["nothing", "rates", "pool"] = "pool"
    measure: Literal["margin", "posterior"] = "posterior"

    def count(
        self, votes: Sequence[Vote], options: Sequence[str], parameters: NoParameters, learned: Learned | None
    ) -> Count:
        """Score every option by its voters' fitted weights."""
        if learned is None:
            raise ValueError("calibrated_pool needs a calibration")
        return count_log_odds(votes, options, [_weight(pool_weight(learned, vote.persona), vote) for vote in votes])

    def least_share(self, parameters: NoParameters) -> float:
        """No share is asked for."""
        return 0.0

    def source(self, vote: Vote, parameters: NoParameters, learned: Learned | None) -> str:
        """The fitted weight's parts."""
        if learned is None:
            return "no calibration"
        weight = pool_weight(learned, vote.persona)
        moved = weight.slope * (logit(vote.confidence) - weight.centre)
        return f"calibration {learned.version}: {weight.base:.3f} for the vote, {moved:+.3f} for its confidence"

    def rule(self, parameters: NoParameters) -> str:
        """The rule's name."""
        return "calibrated_pool"


def _weight(weight: PoolWeight, vote: Vote) -> float:
    return weight.base + weight.slope * (logit(vote.confidence) - weight.centre)
