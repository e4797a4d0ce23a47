"""Who sits on a panel."""

from typing import Any

from pydantic import Field

from domain.model import Frozen


class ReasonerSpec(Frozen):
    """How a persona reaches a proposal."""

    kind: str
    """A name in the table of reasoners: scorecard, llm or recorded."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Checked by the reasoner's own parameter model at load."""


class Persona(Frozen):
    """An agent with a role, a view of the context and a reasoner."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    role: str
    view: tuple[str, ...]
    """Payload fields this persona may see."""
    reasoner: ReasonerSpec
    fallback: ReasonerSpec | None = None
    """Used when the reasoner fails; the proposal records it."""
