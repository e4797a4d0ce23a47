"""What a persona is shown of the others: anonymised, in an order that tells nothing of who said it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.canonical import digest
from domain.proposal import Proposal
from negotiation.votes import well_formed


@dataclass(frozen=True, slots=True)
class Table:
    """The table before one persona."""

    shared: tuple[dict[str, Any], ...]
    """Others' evidence of all earlier rounds, one per id: {id, field, value, note, source}."""
    others: tuple[dict[str, Any], ...]
    """Others' votes of the round before: {option, confidence, rationale}, ordered by label."""
    own_previous: dict[str, Any] | None
    """The persona's proposal of the round before."""


def table_for(persona_id: str, rounds: Sequence[Sequence[Proposal]]) -> Table:
    """The table for a round, given all rounds before it. Votes that are rejected for their form are left out."""
    heard = [well_formed(given) for given in rounds]
    names = _labels(persona_id, heard)
    hide = _Mask(persona_id, names)
    order = {persona: place for place, persona in enumerate(names)}
    shared = _shared(persona_id, heard, names, hide)
    previous = heard[-1] if heard else []
    others = sorted((p for p in previous if p.persona != persona_id), key=lambda p: order[p.persona])
    own = next((proposal for proposal in previous if proposal.persona == persona_id), None)
    return Table(
        shared=shared,
        others=tuple(
            {"option": p.option, "confidence": p.confidence, "rationale": hide.mask(p.rationale)} for p in others
        ),
        own_previous=own.model_dump(mode="json") if own is not None else None,
    )


def _shared(
    persona_id: str, heard: Sequence[Sequence[Proposal]], names: Mapping[str, str], hide: "_Mask"
) -> tuple[dict[str, Any], ...]:
    order = {persona: place for place, persona in enumerate(names)}
    best: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {}
    for number, given in enumerate(heard):
        for proposal in given:
            if proposal.persona == persona_id:
                continue
            # The latest word on an id stands; of several in one round, the first label's.
            rank = (-number, order[proposal.persona])
            for item in proposal.evidence:
                if item.id in best and best[item.id][0] <= rank:
                    continue
                shown = {"id": item.id, "field": item.field, "value": item.value, "note": hide.mask(item.note)}
                best[item.id] = (rank, shown | {"source": names[proposal.persona]})
    return tuple(best[key][1] for key in sorted(best))


def _labels(persona_id: str, heard: Sequence[Sequence[Proposal]]) -> dict[str, str]:
    """Persona -> label, in label order. The order comes from what was first said, never from the persona's id."""
    first: dict[str, tuple[int, str, str]] = {}
    for number, given in enumerate(heard):
        for proposal in given:
            if proposal.persona != persona_id and proposal.persona not in first:
                first[proposal.persona] = (number, _said(proposal), digest(proposal.persona))
    ordered = sorted(first, key=first.__getitem__)
    return {persona: f"panelist {_letters(place)}" for place, persona in enumerate(ordered)}


def _said(proposal: Proposal) -> str:
    evidence = [(item.id, item.value, item.points, item.note) for item in proposal.evidence]
    return digest(repr((proposal.option, proposal.confidence, proposal.rationale, evidence)))


def _letters(place: int) -> str:
    """0 -> A, 25 -> Z, 26 -> AA."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


class _Mask:
    """Puts labels in the place of persona ids that others' own words mention."""

    def __init__(self, persona_id: str, names: Mapping[str, str]) -> None:
        # Only ids such as `risk_analyst`: one that is a plain word would be masked where it means the word.
        self.words = {persona: word for persona, word in {**names, persona_id: "you"}.items() if "_" in persona}
        longest_first = sorted(self.words, key=lambda persona: (-len(persona), persona))
        self.pattern = re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b") if self.words else None

    def mask(self, text: str) -> str:
        """The text without persona ids."""
        return self.pattern.sub(lambda found: self.words[found[0]], text) if self.pattern else text
