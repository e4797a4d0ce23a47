"""What a persona puts forward in a round."""

from typing import Any

from pydantic import Field

from domain.model import Frozen


class Evidence(Frozen):
    """One thing a persona weighed, put on the table for the others."""

    id: str
    """`field:<name>`, `episode:<memory id>` or `fact:<memory id>`."""
    field: str | None = None
    value: str | float | int | bool | None = None
    points: float = 0.0
    """Signed weight it carried for the persona's action; 0 where the reasoner has none."""
    note: str = ""


class Option(Frozen):
    """What can be voted for: a declared action, or one widened by a counter-proposal."""

    name: str
    action: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Proposal(Frozen):
    """A persona's vote with its grounds."""

    persona: str
    persona_version: int
    round: int = Field(ge=0)
    option: str | None
    """Name of the option voted for; None abstains."""
    confidence: float
    """In [0, 1]; anything else is rejected and recorded."""
    rationale: str
    ranking: tuple[str, ...] = ()
    """Options from best to worst, beginning with `option`; empty where it names its first choice only."""
    reasons: tuple[str, ...] = ()
    """Short statements that may be given to the person concerned."""
    evidence: tuple[Evidence, ...] = ()
    cites: tuple[str, ...] = ()
    """Ids of others' evidence that made it revise."""
    named_error: str | None = None
    counter: Option | None = None
    veto: str | None = None
    """Option it vetoes; needs a rationale and evidence."""
    reasoner: str = ""
    fallback_of: str | None = None
    """The reasoner that failed before this one answered."""
    degraded: str | None = None


class Telemetry(Frozen):
    """What a proposal cost."""

    persona: str
    round: int
    latency_ms: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str | None = None
    fallback: bool = False
    error: str | None = None
