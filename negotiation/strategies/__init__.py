"""The table of strategies, one per file."""

from negotiation.strategies.calibrated_pool import CalibratedPool
from negotiation.strategies.confidence_weighted import ConfidenceWeighted
from negotiation.strategies.consensus import Consensus
from negotiation.strategies.log_odds import LogOdds
from negotiation.strategies.plurality import Plurality
from negotiation.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    "plurality": Plurality(),
    "consensus": Consensus(),
    "confidence_weighted": ConfidenceWeighted(),
    "log_odds": LogOdds(),
    "calibrated_pool": CalibratedPool(),
}
