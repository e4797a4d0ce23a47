"""Strategies as a command names them: `plurality,supermajority:theta=3/4,log_odds`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.calibration import Calibration
from domain.errors import InputError
from domain.task_type import CertifySpec, StrategySpec, SubtaskSpec
from negotiation.strategies import STRATEGIES
from negotiation.validation import check_strategy

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


def strategy_specs(
    named: Sequence[Named], subtask: SubtaskSpec, calibration: Calibration | None, alpha: float | None
) -> dict[str, StrategySpec]:
    """Rule with parameters -> the subtask's strategy with this rule in its place; all else stays as it is.

    Raises InputError for an unknown strategy, a parameter it does not take, and one that is named twice.
    """
    actions = [action.name for action in subtask.actions]
    base = subtask.strategy
    if alpha is not None:
        certify = base.certify or CertifySpec()
        base = base.model_copy(update={"certify": CertifySpec(**{**certify.model_dump(), "alpha": alpha})})
    specs: dict[str, StrategySpec] = {}
    for one in named:
        if one.name not in STRATEGIES:
            raise InputError(f"--strategies: there is no strategy {one.name!r}: give {_known()}")
        parameters = _parameters(one, calibration)
        spec = base.model_copy(update={"name": one.name, "parameters": parameters})
        try:
            check_strategy(spec, actions)
        except ValueError as problem:
            takes = ", ".join(STRATEGIES[one.name].Parameters.model_fields) or "none"
            raise InputError(f"--strategies {one.name}: {problem}: its parameters: {takes}") from None
        rule = STRATEGIES[one.name].rule(STRATEGIES[one.name].Parameters.model_validate(parameters))
        if rule in specs:
            raise InputError(f"--strategies: {rule} is named twice")
        specs[rule] = spec
    return specs


def _parameters(named: Named, calibration: Calibration | None) -> dict[str, Any]:
    strategy = STRATEGIES[named.name]
    parameters = {key: _value(strategy.Parameters, key, text) for key, text in named.parameters.items()}
    if _LEAD in strategy.Parameters.model_fields and _LEAD not in parameters:
        parameters[_LEAD] = _most_reliable(named.name, calibration)
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


def _most_reliable(name: str, calibration: Calibration | None) -> str:
    if calibration is None or not calibration.reliabilities:
        raise InputError(f"--strategies {name}: no calibration says who is most reliable: give {name}:{_LEAD}=PERSONA")
    return max(sorted(calibration.reliabilities, key=lambda one: one.persona), key=lambda one: one.rate).persona


def _known() -> str:
    return f"any of {', '.join(sorted(STRATEGIES))}"
