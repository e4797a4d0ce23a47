"""A scorecard: declared points for declared fields, the same answer for the same context."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from domain.errors import ReasonerError
from domain.memory import PersonaContext
from domain.persona import Persona
from domain.ports import Reasoner
from domain.proposal import Evidence, Option, Proposal, Telemetry
from personas.reasoners.scorecard_parameters import (
    CounterRule,
    Criterion,
    Parameters,
    Scalar,
    Score,
    check_view,
)

MAX_REASONS = 4


@dataclass(frozen=True)
class Scored:
    """A criterion with the points it got."""

    criterion: Criterion
    score: Score


@dataclass(frozen=True)
class Leaning:
    """What a sum of points says."""

    action: str | None
    """None abstains."""
    confidence: float
    positive: bool


@dataclass(frozen=True)
class Scorecard:
    """The reasoner of one persona's scorecard."""

    parameters: Parameters

    async def propose(
        self, persona: Persona, context: PersonaContext, options: Sequence[Option]
    ) -> tuple[Proposal, Telemetry]:
        """Score the own view and what others put on the table. Raises ReasonerError for a value without points."""
        own, table = _own(context), _on_table(context)
        values = {**table, **own}
        scored = [
            Scored(criterion, _score(criterion, values))
            for criterion in self.parameters.criteria
            if all(name in values for name in criterion.fields)
        ]
        if not scored:
            raise ReasonerError("the context holds none of the scorecard's fields")
        lean = self._lean(scored)
        option, counter = self._vote(lean, own, options)
        used = [name for one in scored if one.criterion.shared for name in one.criterion.fields if name not in own]
        alone = self._lean([one for one in scored if not one.criterion.shared])
        changed = (alone.action, alone.confidence) != (lean.action, lean.confidence)
        reasons = _reasons(scored, lean)
        proposal = Proposal(
            persona=persona.id,
            persona_version=persona.version,
            round=context.round,
            option=option,
            confidence=lean.confidence,
            rationale=_rationale(lean, reasons),
            reasons=reasons,
            evidence=_evidence(scored, values),
            cites=tuple(f"field:{name}" for name in dict.fromkeys(used)) if changed else (),
            counter=counter,
            reasoner="scorecard",
        )
        return proposal, Telemetry(persona=persona.id, round=context.round, latency_ms=0.0)

    def _lean(self, scored: Sequence[Scored]) -> Leaning:
        # fsum: the same votes must not differ in their last bit by the order of criteria.
        points = math.fsum([self.parameters.base, *(one.score.points for one in scored)])
        chance = _logistic(points * self.parameters.scale)
        positive = chance > 0.5
        confidence = max(chance, 1.0 - chance)
        if abs(chance - 0.5) < self.parameters.abstain_band:
            return Leaning(None, confidence, positive)
        action = self.parameters.positive_action if positive else self.parameters.negative_action
        return Leaning(action, confidence, positive)

    def _vote(
        self, lean: Leaning, own: Mapping[str, Scalar], options: Sequence[Option]
    ) -> tuple[str | None, Option | None]:
        """The option voted for, and the counter-proposal if one is due."""
        counter = None
        for rule in self.parameters.counters:
            if not _applies(rule, lean, own):
                continue
            found = next((one for one in options if (one.action, one.arguments) == (rule.action, rule.arguments)), None)
            if found:
                return found.name, None
            counter = Option(name=rule.name, action=rule.action, arguments=rule.arguments)
            break
        if lean.action is None:
            return None, counter
        plain = next((one.name for one in options if one.action == lean.action and not one.arguments), None)
        if plain is None:
            raise ReasonerError(f"the scorecard's action {lean.action} is not among the options")
        return plain, counter


def build(persona: Persona, parameters: Mapping[str, Any]) -> Reasoner:
    """The scorecard of these parameters. Raises pydantic.ValidationError."""
    card = Parameters.model_validate(parameters)
    try:
        check_view(persona, card)
    except ValueError as error:
        problem = PydanticCustomError("view", "{why}", {"why": str(error)})
        raise ValidationError.from_exception_data(
            "Parameters", [{"type": problem, "loc": ("criteria",), "input": None}]
        ) from error
    return Scorecard(card)


def _own(context: PersonaContext) -> dict[str, Scalar]:
    return {name: _scalar(name, value) for name, value in context.working.items()}


def _on_table(context: PersonaContext) -> dict[str, Scalar]:
    """Fields that others put on the table; the first word on a field stands."""
    values: dict[str, Scalar] = {}
    for item in context.shared:
        name = item.get("field")
        if isinstance(name, str) and item.get("id") == f"field:{name}":
            values.setdefault(name, _scalar(name, item.get("value")))
    return values


def _scalar(name: str, value: Any) -> Scalar:
    if value is None or isinstance(value, str | int | float):
        return value
    raise ReasonerError(f"field {name} holds no plain value")


def _score(criterion: Criterion, values: Mapping[str, Scalar]) -> Score:
    if criterion.categories:
        return _category(criterion, values[criterion.fields[0]])
    number = _number(criterion, values)
    if number is None:
        return criterion.null
    return next(one for one in criterion.bins if one.below is None or number < one.below)


def _category(criterion: Criterion, value: Scalar) -> Score:
    if value is None:
        return criterion.null
    score = criterion.categories.get(str(value))
    if score is None:
        raise ReasonerError(f"criterion {criterion.id} has no points for this value")
    return score


def _number(criterion: Criterion, values: Mapping[str, Scalar]) -> float | None:
    numbers = []
    for name in criterion.fields:
        value = values[name]
        if value is None:
            return None
        if isinstance(value, bool | str) or not math.isfinite(value):
            raise ReasonerError(f"criterion {criterion.id} needs a number in {name}")
        numbers.append(value)
    if len(numbers) == 1:
        return numbers[0]
    return numbers[0] / numbers[1] if numbers[1] else None


def _logistic(x: float) -> float:
    # Two forms, so that exp never overflows.
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def _applies(rule: CounterRule, lean: Leaning, own: Mapping[str, Scalar]) -> bool:
    return (rule.leaning is None or rule.leaning == lean.action) and rule.when.holds(own.get(rule.when.field))


def _reasons(scored: Sequence[Scored], lean: Leaning) -> tuple[str, ...]:
    """The sentences of criteria that push the chosen way, strongest first."""
    sign = 1.0 if lean.positive else -1.0
    pushing = [one for one in scored if one.score.points * sign > 0]
    pushing.sort(key=lambda one: (-abs(one.score.points), one.criterion.id))
    return tuple(dict.fromkeys(one.score.reason for one in pushing))[:MAX_REASONS]


def _rationale(lean: Leaning, reasons: Sequence[str]) -> str:
    head = f"The points speak for {lean.action}." if lean.action else "The points are too even to choose."
    return " ".join([head, *reasons])


def _evidence(scored: Sequence[Scored], values: Mapping[str, Scalar]) -> tuple[Evidence, ...]:
    """One piece a field; a ratio's points stand at its numerator, and its denominator shows the value alone."""
    points: dict[str, list[float]] = {}
    notes: dict[str, list[str]] = {}
    for one in scored:
        first, *rest = one.criterion.fields
        points.setdefault(first, []).append(one.score.points)
        notes.setdefault(first, []).append(one.score.reason)
        for name in rest:
            points.setdefault(name, [])
            notes.setdefault(name, [])
    return tuple(
        Evidence(
            id=f"field:{name}",
            field=name,
            value=values[name],
            points=math.fsum(points[name]),
            note=" ".join(notes[name]),
        )
        for name in points
    )
