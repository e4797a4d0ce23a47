"""Checks a strategy's configuration when it is loaded."""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import ValidationError

from domain.task_type import StrategySpec
from negotiation.fractions import exact_fraction
from negotiation.strategies import STRATEGIES


def check_strategy(spec: StrategySpec, actions: Sequence[str]) -> None:
    """Raise ValueError naming the path and what was expected, for the first thing that cannot be used."""
    strategy = STRATEGIES.get(spec.name)
    if strategy is None:
        raise ValueError(f"strategy.name: expected one of {', '.join(sorted(STRATEGIES))}, got '{spec.name}'")
    try:
        strategy.Parameters.model_validate(spec.parameters)
    except ValidationError as error:
        problem = error.errors()[0]
        path = ".".join(("strategy", "parameters", *map(str, problem["loc"])))
        raise ValueError(f"{path}: {problem['msg']}") from None
    try:
        exact_fraction(spec.quorum)
    except ValueError as error:
        raise ValueError(f"strategy.quorum: {error}") from None
    if spec.deadline is not None and spec.deadline <= timedelta(0):
        raise ValueError("strategy.deadline: expected a positive duration")
    if spec.safe_default is not None and spec.safe_default not in actions:
        raise ValueError(f"strategy.safe_default: expected one of {', '.join(actions)}, got '{spec.safe_default}'")
