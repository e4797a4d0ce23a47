"""Checks a strategy's configuration when it is loaded."""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import ValidationError

from domain.task_type import StrategySpec
from negotiation.force import to_calibrate
from negotiation.fractions import exact_fraction
from negotiation.strategies import STRATEGIES
from negotiation.strategies.lead_decides import LeadDecidesParameters


def check_strategy(
    spec: StrategySpec,
    actions: Sequence[str],
    panel: Sequence[str] = (),
    stake_known: bool = True,
    answers: bool = True,
) -> None:
    """Raise ValueError naming the path and what was expected, for the first thing that cannot be used.

    `panel`: the subtask's personas; empty where they are not known. `stake_known`: whether the task type names a
    `stake_field`. `answers`: whether the subtask is the one whose action answers the task.
    """
    _check_counting("strategy", spec, panel, stake_known)
    if spec.when_calibrated is not None:
        _check_counting("strategy.when_calibrated", to_calibrate(spec), panel, stake_known)
    _check_calibrated(spec, actions, answers)
    _check_attendance(spec, panel)
    if spec.deadline is not None and spec.deadline <= timedelta(0):
        raise ValueError("strategy.deadline: expected a positive duration")
    if spec.safe_default is not None and spec.safe_default not in actions:
        raise ValueError(f"strategy.safe_default: expected one of {', '.join(actions)}, got '{spec.safe_default}'")
    if len(set(spec.stalemate)) < len(spec.stalemate):
        raise ValueError(f"strategy.stalemate: expected every step once, got {', '.join(spec.stalemate)}")


def _check_counting(at: str, spec: StrategySpec, panel: Sequence[str], stake_known: bool) -> None:
    """Name, parameters and bound of the strategy that stands at this path."""
    strategy = STRATEGIES.get(spec.name)
    if strategy is None:
        raise ValueError(f"{at}.name: expected one of {', '.join(sorted(STRATEGIES))}, got '{spec.name}'")
    try:
        parameters = strategy.Parameters.model_validate(spec.parameters)
    except ValidationError as error:
        problem = error.errors()[0]
        path = ".".join((at, "parameters", *map(str, problem["loc"])))
        raise ValueError(f"{path}: {problem['msg']}") from None
    if isinstance(parameters, LeadDecidesParameters) and panel:
        for persona in parameters.lead:
            if persona not in panel:
                raise ValueError(f"{at}.parameters.lead: expected personas of the panel, got '{persona}'")
    if spec.certify is not None and spec.certify.stake_limit is not None and not stake_known:
        raise ValueError(f"{at}.certify.stake_limit: expected only where the task type names a stake_field")


def _check_calibrated(spec: StrategySpec, actions: Sequence[str], answers: bool) -> None:
    """A strategy that waits for a calibration stands where there can be one."""
    at = _awaits_calibration(spec)
    if at is None:
        return
    if not answers:
        raise ValueError(f"{at}: expected only on the task type's answer: no other subtask can be calibrated")
    if len(actions) < 2:
        raise ValueError(f"{at}: expected only where there are two actions at least: one cannot be calibrated")


def _awaits_calibration(spec: StrategySpec) -> str | None:
    """The path of what takes a calibration; None where nothing does."""
    if spec.when_calibrated is not None:
        return "strategy.when_calibrated"
    if spec.certify is not None:
        return "strategy.certify"
    return None if STRATEGIES[spec.name].needs == "nothing" else "strategy.name"


def _check_attendance(spec: StrategySpec, panel: Sequence[str]) -> None:
    _check_fraction("quorum", spec.quorum)
    if spec.blocking_minority is not None:
        _check_fraction("blocking_minority", spec.blocking_minority)
    if panel and spec.min_casting > len(panel):
        expected = f"expected at most {len(panel)}, the size of the panel, got {spec.min_casting}"
        raise ValueError(f"strategy.min_casting: {expected}")


def _check_fraction(name: str, text: str) -> None:
    try:
        exact_fraction(text)
    except ValueError as error:
        raise ValueError(f"strategy.{name}: {error}") from None
