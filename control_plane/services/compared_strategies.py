"""Strategies as a command names them: `plurality,supermajority:theta=3/4,log_odds`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.calibration import Calibration
from domain.errors import InputError
from domain.task_type import CertifySpec, StrategySpec, SubtaskSpec
from negotiation.force import to_calibrate
from negotiation.strategies import STRATEGIES
from negotiation.validation import check_strategy
from tasks.calibrate import own_rule

RECORDED = "recorded"
_LEAD = "lead"


@dataclass(frozen=True, slots=True)
class Named:
    """A strategy as it was named, with its parameters as text."""

    name: str
    parameters: Mapping[str, str]


def read_names(text: str) -> list[Named]:
    """The strategies of the list. A part with `=` and no `:` before it goes on with the one before. Raises InputError.

    `recorded` may be named: it is a row anyhow.
    """
    found: list[tuple[str, dict[str, str]]] = []
    for part in (part.strip() for part in text.split(",")):
        name, colon, first = part.partition(":")
        if "=" in name:
            if not found:
                raise InputError(f"--strategies {text}: {part!r} stands before any strategy: give NAME:KEY=VALUE")
            _set(found[-1][1], part, text)
            continue
        found.append((name.strip(), {}))
        if colon:
            _set(found[-1][1], first, text)
    if not text.strip() or any(not name for name, _ in found):
        raise InputError(f"--strategies {text!r}: an empty name: give {_known()}")
    return [Named(name, parameters) for name, parameters in found if name != RECORDED]


def _set(parameters: dict[str, str], part: str, text: str) -> None:
    key, equals, value = (piece.strip() for piece in part.partition("="))
    if not (key and equals and value) or key in parameters:
        raise InputError(f"--strategies {text}: {part!r}: give each parameter once, as KEY=VALUE")
    parameters[key] = value


@dataclass(frozen=True, slots=True)
class Rules:
    """A strategy under the two sets of rules that a subtask can have."""

    configured: StrategySpec
    """In the place of the strategy as the task type configures it."""
    taken_over: StrategySpec
    """In the place of the one that takes over with a calibration: its bound, and no least margin."""


def strategy_specs(
    named: Sequence[Named], subtask: SubtaskSpec, calibration: Calibration | None, alpha: float | None
) -> dict[str, Rules]:
    """Rule with parameters -> the subtask's strategies with this rule in their place; all else stays as it is.

    Raises InputError for an unknown strategy, a parameter it does not take, and one that is named twice.
    """
    actions = [action.name for action in subtask.actions]
    taken_over = _bound(to_calibrate(subtask.strategy), alpha)
    configured = _bound(subtask.strategy.model_copy(update={"when_calibrated": None}), alpha)
    specs: dict[str, Rules] = {}
    for one in named:
        if one.name not in STRATEGIES:
            raise InputError(f"--strategies: there is no strategy {one.name!r}: give {_known()}")
        parameters = _parameters(one, calibration)
        put = {"name": one.name, "parameters": parameters}
        found = Rules(configured.model_copy(update=put), taken_over.model_copy(update=put))
        try:
            check_strategy(found.configured, actions)
        except ValueError as problem:
            takes = ", ".join(STRATEGIES[one.name].Parameters.model_fields) or "none"
            raise InputError(f"--strategies {one.name}: {problem}: its parameters: {takes}") from None
        rule = own_rule(found.configured)
        if rule in specs:
            raise InputError(f"--strategies: {rule} is named twice")
        specs[rule] = found
    return specs


def _bound(base: StrategySpec, alpha: float | None) -> StrategySpec:
    if alpha is None:
        return base
    certify = base.certify or CertifySpec()
    return base.model_copy(update={"certify": CertifySpec(**{**certify.model_dump(), "alpha": alpha})})


def reference_rule(text: str, rules: Sequence[str]) -> str:
    """The rule that the others are tested against: `recorded`, or one that is compared. Raises InputError."""
    if text == RECORDED or text in rules:
        return text
    meant = [rule for rule in rules if rule.partition("(")[0] == text]
    if len(meant) != 1:
        raise InputError(f"--against {text}: give {RECORDED}, or one of the strategies compared: {', '.join(rules)}")
    return meant[0]


def _parameters(named: Named, calibration: Calibration | None) -> dict[str, Any]:
    strategy = STRATEGIES[named.name]
    parameters = {key: _value(strategy.Parameters, key, text) for key, text in named.parameters.items()}
    if _LEAD in strategy.Parameters.model_fields and _LEAD not in parameters:
        parameters[_LEAD] = _by_reliability(named.name, calibration)
    return parameters


def _value(model: Any, key: str, text: str) -> Any:
    """The text as it is where the parameter takes that, else what it says as JSON."""
    field = model.model_fields.get(key)
    if field is None or field.annotation not in (int, bool):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _by_reliability(name: str, calibration: Calibration | None) -> list[str]:
    """The panel from the most reliable persona on: the order for which calibrating certifies."""
    if calibration is None or not calibration.reliabilities:
        raise InputError(f"--strategies {name}: no calibration says who is most reliable: give {name}:{_LEAD}=PERSONA")
    rates = {one.persona: one.rate for one in calibration.reliabilities}
    return sorted(calibration.panel, key=lambda persona: (-rates.get(persona, 0.0), persona))


def _known() -> str:
    return f"any of {', '.join(sorted(STRATEGIES))}"
