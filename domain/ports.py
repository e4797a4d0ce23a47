"""What rooms hand to one another."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from domain.guard import Finding, Hop, Subject, Verdict
from domain.memory import Memory, PersonaContext, Recall
from domain.persona import Persona
from domain.proposal import Option, Proposal, Telemetry


class Reasoner(Protocol):
    """Turns what a persona sees into a proposal. Raises ReasonerError."""

    async def propose(
        self, persona: Persona, context: PersonaContext, options: Sequence[Option]
    ) -> tuple[Proposal, Telemetry]:
        """One proposal for `context.round`, with what it cost."""
        ...


class Guard(Protocol):
    """A filter: reads a subject, answers with a finding, or None when it saw nothing.

    Its finding rests on the subject's hop and text alone. Where it can be used to redact, its spans are exact.
    """

    id: str
    version: str
    hops: frozenset[Hop]

    def check(self, subject: Subject) -> Finding | None:
        """Look at the subject's text; on a thread beside the event loop."""
        ...


class AsyncGuard(Protocol):
    """A filter that asks somebody else, such as a model."""

    id: str
    version: str
    hops: frozenset[Hop]
    time_limit: float
    """Seconds after which it counts as failed."""

    async def check(self, subject: Subject) -> Finding | None:
        """Ask about the subject."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A filter that loads what takes long, once and before its time runs."""

    def prepare(self) -> None:
        """Load it; again is no cost."""
        ...


@runtime_checkable
class Rewriting(Protocol):
    """A filter that says itself what stands in place of what it found."""

    def rewrite(self, text: str) -> str:
        """The text as filters read it, without what it found in it."""
        ...


class Gate(Protocol):
    """Filters and policies of one task type."""

    policy_hash: str

    async def judge(self, subject: Subject) -> Verdict:
        """Never raises for a subject: what cannot be judged is denied."""
        ...


class MemoryIndex(Protocol):
    """A vector index over memories that can be rebuilt from their rows."""

    async def upsert(self, memories: Sequence[Memory]) -> None:
        """Add or replace."""
        ...

    async def remove(self, memories: Sequence[tuple[str, str, str]]) -> None:
        """Take out memories, each given as (id, kind, task type)."""
        ...

    async def search(self, kind: str, task_type: str, text: str, limit: int, as_of: datetime) -> Sequence[Memory]:
        """The most similar memories known before `as_of`, best first, ties by id."""
        ...


class Recaller(Protocol):
    """Recall for a context contract."""

    async def recall(self, task_type: str, text: str, episodic: int, semantic: int, as_of: datetime) -> Recall:
        """Never raises: an index that is away gives a degraded recall."""
        ...
