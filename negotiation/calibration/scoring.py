"""What a strategy makes of resolved cases, through the very code that decides."""

from collections.abc import Mapping, Sequence
from typing import Any

from negotiation.calibration.cases import Case, Scored, credit
from negotiation.learned import Learned
from negotiation.settle import lacking
from negotiation.strategies import STRATEGIES
from negotiation.strategy import TIE


def score_cases(
    name: str, parameters: Mapping[str, Any], options: Sequence[str], cases: Sequence[Case], learned: Learned | None
) -> list[Scored]:
    """Every case's leader and score. A leader whose share is too small keeps its place with a score of 0.

    Raises ValueError for an unknown strategy, wrong parameters, or where `learned` lacks what the strategy needs.
    """
    if name not in STRATEGIES:
        raise ValueError(f"unknown strategy '{name}'")
    strategy = STRATEGIES[name]
    missing = lacking(strategy, learned)
    if missing is not None:
        raise ValueError(f"{name}: {missing}")
    checked = strategy.Parameters.model_validate(dict(parameters))
    least_share = strategy.least_share(checked) - TIE
    found: list[Scored] = []
    for case in cases:
        count = strategy.count(case.votes, options, checked, learned)
        found.append(
            Scored(
                leader=count.leader,
                score=count.score if count.share >= least_share else 0.0,
                confidence=count.share,
                credit=credit(case.right, count.leader, count.level),
            )
        )
    return found
