"""Checks a strategy's configuration when it is loaded."""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import ValidationError

from domain.task_type import StrategySpec
from negotiation.fractions import exact_fraction
from negotiation.strategies import STRATEGIES
from negotiation.strategies.lead_decides import LeadDecidesParameters


def check_strategy(
    spec: StrategySpec, actions: Sequence[str], panel: Sequence[str] = (), stake_known: bool = True
) -> None:
    """Raise ValueError naming the path and what was expected, for the first thing that cannot be used.

    `panel`: the subtask's personas; empty where they are not known. `stake_known`: whether the task type names a
    `stake_field`.
    """
    _check_parameters(spec, panel)
    _check_fraction("quorum", spec.quorum)
    if spec.blocking_minority is not None:
        _check_fraction("blocking_minority", spec.blocking_minority)
    if spec.deadline is not None and spec.deadline <= timedelta(0):
        raise ValueError("strategy.deadline: expected a positive duration")
    if spec.safe_default is not None and spec.safe_default not in actions:
        raise ValueError(f"strategy.safe_default: expected one of {', '.join(actions)}, got '{spec.safe_default}'")
    if len(set(spec.stalemate)) < len(spec.stalemate):
        raise ValueError(f"strategy.stalemate: expected every step once, got {', '.join(spec.stalemate)}")
    if spec.certify is not None and spec.certify.stake_limit is not None and not stake_known:
        raise ValueError("strategy.certify.stake_limit: expected only where the task type names a stake_field")


def _check_parameters(spec: StrategySpec, panel: Sequence[str]) -> None:
    strategy = STRATEGIES.get(spec.name)
    if strategy is None:
        raise ValueError(f"strategy.name: expected one of {', '.join(sorted(STRATEGIES))}, got '{spec.name}'")
    try:
        parameters = strategy.Parameters.model_validate(spec.parameters)
    except ValidationError as error:
        problem = error.errors()[0]
        path = ".".join(("strategy", "parameters", *map(str, problem["loc"])))
        raise ValueError(f"{path}: {problem['msg']}") from None
    if isinstance(parameters, LeadDecidesParameters) and panel:
        for persona in parameters.lead:
            if persona not in panel:
                raise ValueError(f"strategy.parameters.lead: expected personas of the panel, got '{persona}'")


def _check_fraction(name: str, text: str) -> None:
    try:
        exact_fraction(text)
    except ValueError as error:
        raise ValueError(f"strategy.{name}: {error}") from None
