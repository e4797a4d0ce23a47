"""The table of strategies, one per file."""

from collections.abc import Mapping
from typing import Any

from negotiation.strategies.borda import Borda
from negotiation.strategies.calibrated_pool import CalibratedPool
from negotiation.strategies.confidence_weighted import ConfidenceWeighted
from negotiation.strategies.consensus import Consensus
from negotiation.strategies.lead_decides import LeadDecides
from negotiation.strategies.log_odds import LogOdds
from negotiation.strategies.majority import Majority
from negotiation.strategies.plurality import Plurality
from negotiation.strategies.schulze import Schulze
from negotiation.strategies.supermajority import Supermajority
from negotiation.strategies.unanimity import Unanimity
from negotiation.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    "plurality": Plurality(),
    "majority": Majority(),
    "supermajority": Supermajority(),
    "unanimity": Unanimity(),
    "consensus": Consensus(),
    "confidence_weighted": ConfidenceWeighted(),
    "log_odds": LogOdds(),
    "calibrated_pool": CalibratedPool(),
    "borda": Borda(),
    "schulze": Schulze(),
    "lead_decides": LeadDecides(),
}


def rule_of(name: str, parameters: Mapping[str, Any]) -> str:
    """The strategy's name with its parameters, as certificates name it.

    Raises ValueError for an unknown strategy or wrong parameters.
    """
    if name not in STRATEGIES:
        raise ValueError(f"unknown strategy '{name}'")
    strategy = STRATEGIES[name]
    return strategy.rule(strategy.Parameters.model_validate(dict(parameters)))
