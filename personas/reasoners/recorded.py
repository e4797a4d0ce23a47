"""Replays proposals that are given as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from domain.errors import ReasonerError
from domain.memory import PersonaContext
from domain.model import Frozen
from domain.persona import Persona
from domain.ports import Reasoner
from domain.proposal import Evidence, Option, Proposal, Telemetry


class Recorded(Frozen):
    """A stored proposal and the contexts it answers."""

    round: int = Field(default=0, ge=0)
    """It stands for this round and for later ones without a record of their own."""
    when: dict[str, str | float | int | bool | None] = Field(default={})
    """Working fields that must have these values; empty matches every case."""
    option: str | None
    confidence: float = Field(ge=0.0, le=1.0)
    rationale: str
    reasons: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    cites: tuple[str, ...] = ()
    named_error: str | None = None
    counter: Option | None = None
    veto: str | None = None


class Parameters(Frozen):
    """What to replay."""

    proposals: tuple[Recorded, ...] = Field(min_length=1)


@dataclass(frozen=True)
class RecordedReasoner:
    """Answers with the first record of the latest round that matches."""

    parameters: Parameters

    async def propose(
        self, persona: Persona, context: PersonaContext, options: Sequence[Option]
    ) -> tuple[Proposal, Telemetry]:
        """The stored proposal. Raises ReasonerError when none matches."""
        records = [record for record in self.parameters.proposals if _matches(record, context)]
        if not records:
            raise ReasonerError(f"no proposal is recorded for this case in round {context.round}")
        record = max(records, key=lambda found: found.round)
        proposal = Proposal(
            persona=persona.id,
            persona_version=persona.version,
            round=context.round,
            reasoner="recorded",
            **{name: getattr(record, name) for name in Recorded.model_fields if name not in ("round", "when")},
        )
        return proposal, Telemetry(persona=persona.id, round=context.round, latency_ms=0.0)


def build(persona: Persona, parameters: Mapping[str, Any]) -> Reasoner:
    """The reasoner of these parameters. Raises pydantic.ValidationError."""
    return RecordedReasoner(Parameters.model_validate(parameters))


def _matches(record: Recorded, context: PersonaContext) -> bool:
    if record.round > context.round:
        return False
    return all(name in context.working and context.working[name] == value for name, value in record.when.items())
