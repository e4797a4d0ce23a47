"""What is remembered, and the frozen context a stage worked from."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from domain.model import Frozen

MemoryKind = Literal["episodic", "semantic"]


class Memory(Frozen):
    """An episode (a task's end) or a fact; a row in Postgres, indexed in Qdrant."""

    id: str
    kind: MemoryKind
    task_type: str
    text: str
    """What is embedded."""
    data: dict[str, Any] = Field(default_factory=dict)
    """For an episode: action, outcome, right (did the action equal the outcome's action)."""
    known_at: datetime
    """Facts: since when. Episodes: when their outcome was recorded."""


class Recall(Frozen):
    """What recall found, and whether it is complete."""

    episodes: tuple[Memory, ...] = ()
    facts: tuple[Memory, ...] = ()
    degraded: str | None = None
    """Why memory could not be searched; None when it was."""


class PersonaContext(Frozen):
    """What one persona is shown in one round."""

    persona: str
    round: int
    question: str
    options: tuple[str, ...]
    working: dict[str, Any]
    """Payload fields in the persona's view, never a hidden one."""
    episodes: tuple[dict[str, Any], ...] = ()
    facts: tuple[dict[str, Any], ...] = ()
    shared: tuple[dict[str, Any], ...] = ()
    """Others' evidence of earlier rounds, anonymised: {id, field, value, note, source}."""
    others: tuple[dict[str, Any], ...] = ()
    """Others' votes of the round before, anonymised: {option, confidence, rationale}."""
    own_previous: dict[str, Any] | None = None
    """The persona's proposal of the round before."""
    truncated: tuple[str, ...] = ()
    """What the token budget left out."""
    degraded: str | None = None


class Snapshot(Frozen):
    """The content-addressed contexts of one round."""

    hash: str
    task_id: str
    subtask_id: str
    round: int
    contexts: tuple[PersonaContext, ...]
