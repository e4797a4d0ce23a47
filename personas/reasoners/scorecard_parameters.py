"""What a scorecard's YAML may say: criteria with points, and rules for counter-proposals."""

from typing import Any

from pydantic import Field, model_validator

from domain.model import Frozen
from domain.persona import Persona

Scalar = str | float | int | bool | None


class Score(Frozen):
    """Points towards the positive action, and the sentence that says why."""

    points: float
    reason: str = Field(min_length=1, max_length=200)


class Bin(Score):
    """A range of numbers up to, not including, `below`; the last bin has no end."""

    below: float | None = None


class Criterion(Frozen):
    """How one field, or the ratio of two, is scored."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    field: str | None = None
    ratio: tuple[str, str] | None = None
    """Numerator and denominator."""
    bins: tuple[Bin, ...] = ()
    categories: dict[str, Score] = Field(default={})
    null: Score
    """For a field without a value, and for a ratio that cannot be formed."""
    shared: bool = False
    """Needs a field outside the own view: scored once others have put its evidence on the table."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The payload fields that it reads."""
        return self.ratio or (str(self.field),)

    @model_validator(mode="after")
    def _well_formed(self) -> "Criterion":
        if (self.field is None) == (self.ratio is None):
            raise ValueError(f"criterion {self.id}: give either field or ratio")
        if bool(self.bins) == bool(self.categories):
            raise ValueError(f"criterion {self.id}: give either bins or categories")
        if self.ratio and self.categories:
            raise ValueError(f"criterion {self.id}: a ratio is scored by bins")
        if self.bins:
            *ends, last = [one.below for one in self.bins]
            known = [end for end in ends if end is not None]
            if last is not None or len(known) != len(ends) or known != sorted(set(known)):
                raise ValueError(f"criterion {self.id}: bins need rising `below` limits, and a last one without")
        return self


class When(Frozen):
    """A condition on one field of the own view; what is given must all hold, and null never does."""

    field: str
    at_least: float | None = None
    below: float | None = None
    among: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> "When":
        if self.at_least is None and self.below is None and not self.among:
            raise ValueError("a condition needs at_least, below or among")
        return self

    def holds(self, value: Scalar) -> bool:
        """Whether the value meets the condition."""
        if value is None or (self.among and value not in self.among):
            return False
        if self.at_least is None and self.below is None:
            return True
        if isinstance(value, bool | str):
            return False
        return (self.at_least is None or value >= self.at_least) and (self.below is None or value < self.below)


class CounterRule(Frozen):
    """Where the condition holds, another option is put forward, and voted for once it is on the table."""

    name: str = Field(min_length=1)
    """The option's name."""
    when: When
    leaning: str | None = None
    """Only when the points speak for this action."""
    action: str
    arguments: dict[str, Any] = Field(default={})


class Parameters(Frozen):
    """A scorecard. `p = logistic(points * scale)` is the chance that the positive action is right."""

    positive_action: str
    negative_action: str
    base: float
    """Points before any criterion."""
    scale: float = Field(gt=0)
    """Log-odds per point."""
    criteria: tuple[Criterion, ...] = Field(min_length=1)
    abstain_band: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Abstains while |p - 0.5| is below it."""
    counters: tuple[CounterRule, ...] = ()


def check_view(persona: Persona, parameters: Parameters) -> None:
    """Every criterion reads what its persona may see, or says `shared`. Raises ValueError."""
    seen: set[str] = set()
    for criterion in parameters.criteria:
        if criterion.id in seen:
            raise ValueError(f"criterion {criterion.id} is given twice")
        seen.add(criterion.id)
        outside = [name for name in criterion.fields if name not in persona.view]
        if bool(outside) != criterion.shared:
            expected = "shared: true, for it reads" if outside else "no `shared`, for the view holds"
            raise ValueError(f"criterion {criterion.id}: expected {expected} {', '.join(outside or criterion.fields)}")
    for rule in parameters.counters:
        if rule.when.field not in persona.view:
            raise ValueError(f"counter {rule.name}: {rule.when.field} is not in the view")
