"""Lead decides: one persona's vote is the result, the others advise."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import Field, field_validator

from domain.canonical import digest
from domain.model import Frozen
from negotiation.learned import Learned
from negotiation.strategy import Count, OneVoteEach
from negotiation.votes import Vote

SHOWN = 5
"""Leads that the rule's name lists; of more it states a digest."""


class LeadDecidesParameters(Frozen):
    """Who decides."""

    lead: tuple[str, ...] = Field(min_length=1)
    """A persona, or several in order: the first of them that casts a vote decides."""

    @field_validator("lead", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("lead")
    @classmethod
    def _distinct(cls, lead: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(lead)) < len(lead) or not all(lead):
            raise ValueError("expected personas, none of them twice")
        return lead

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Persona -> its place among the leads, from 0."""
        return {persona: place for place, persona in enumerate(self.lead)}

    @cached_property
    def named(self) -> str:
        """The leads, short enough for a rule's name."""
        text = ", ".join(self.lead[:SHOWN])
        more = len(self.lead) - SHOWN
        return text if more <= 0 else f"{text} and {more} more ({digest(list(self.lead))[:8]})"


class LeadDecides(OneVoteEach):
    """s_x = 1 for the option of the first lead that casts a vote. Where none does, no option leads."""

    Parameters = LeadDecidesParameters

    def count(
        self, votes: Sequence[Vote], options: Sequence[str], parameters: LeadDecidesParameters, learned: Learned | None
    ) -> Count:
        """Score the lead's option."""
        places, last = parameters.places, len(parameters.lead)
        place, index = min(
            ((places.get(vote.persona, last), index) for index, vote in enumerate(votes) if vote.option is not None),
            default=(last, 0),
        )
        leader = votes[index].option if place < last else None
        weights = [0.0] * len(votes)
        tally = dict.fromkeys(options, 0.0)
        if leader is None:
            return Count(tally=tally, weights=tuple(weights), leader=None, margin=0.0, share=0.0)
        weights[index] = tally[leader] = 1.0
        return Count(tally=tally, weights=tuple(weights), leader=leader, margin=1.0, share=1.0)

    def least_share(self, parameters: LeadDecidesParameters) -> float:
        """No share is asked for."""
        return 0.0

    def source(self, vote: Vote, parameters: LeadDecidesParameters, learned: Learned | None) -> str:
        """Whether the persona leads."""
        place = parameters.places.get(vote.persona)
        if place is None:
            return "advises"
        return "leads" if place == 0 else f"leads where the {place} before it do not vote"

    def rule(self, parameters: LeadDecidesParameters) -> str:
        """The rule's name with the leads."""
        return f"lead_decides(lead={parameters.named})"
