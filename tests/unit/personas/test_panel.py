"""The panelist: valid proposals only, fallbacks recorded, cost measured."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.errors import CatalogError, ReasonerError
from domain.memory import PersonaContext
from domain.persona import Persona, ReasonerSpec
from domain.proposal import Option, Proposal, Telemetry
from personas.panel import Panelist
from personas.reasoners import REASONERS

OPTIONS = (Option(name="approve", action="approve"),)
VOTE = {"option": "approve", "confidence": 0.8, "rationale": "On file."}
CONTEXT = PersonaContext(persona="clerk", round=0, question="?", options=("approve",), working={})


def persona(kind: str = "recorded", fallback: bool = False, **parameters: Any) -> Persona:
    spec = ReasonerSpec(kind="recorded", parameters={"proposals": [VOTE | {"rationale": "Fallback."}]})
    reasoner = ReasonerSpec(kind=kind, parameters=parameters or {"proposals": [VOTE]})
    return Persona(id="clerk", version=1, role="r", view=(), reasoner=reasoner, fallback=spec if fallback else None)


class Says:
    """A reasoner that answers with its vote changed without validation."""

    def __init__(self, **change: Any) -> None:
        self.change = change

    async def propose(
        self, persona: Persona, context: PersonaContext, options: Sequence[Option]
    ) -> tuple[Proposal, Telemetry]:
        await asyncio.sleep(0.002)
        vote = Proposal(persona="clerk", persona_version=1, round=context.round, reasoner="says", **VOTE)
        telemetry = Telemetry(persona="clerk", round=context.round, latency_ms=0, prompt_tokens=7, model="m")
        return vote.model_copy(update=self.change), telemetry


def panelist(fallback: bool = True, **change: Any) -> Panelist:
    return replace(Panelist.build(persona(fallback=fallback), Path("p")), reasoner=Says(**change))


async def test_a_valid_proposal_passes_with_its_latency() -> None:
    proposal, telemetry = await panelist().propose(CONTEXT, OPTIONS)
    assert (proposal.rationale, proposal.fallback_of, proposal.degraded) == ("On file.", None, None)
    assert telemetry.latency_ms >= 2
    assert not telemetry.fallback


INVALID = [
    {"option": "refund"}, {"veto": "refund"}, {"confidence": float("nan")}, {"confidence": -0.1},
    {"confidence": 1.1}, {"round": 3}, {"persona": "other"}, {"persona_version": 9},
]  # fmt: skip


@pytest.mark.parametrize("change", INVALID, ids=str)
async def test_an_invalid_proposal_is_never_returned(change: dict[str, Any]) -> None:
    proposal, telemetry = await panelist(**change).propose(CONTEXT, OPTIONS)
    assert (proposal.rationale, proposal.fallback_of) == ("Fallback.", "recorded")
    assert (telemetry.fallback, telemetry.prompt_tokens, telemetry.model) == (True, 7, "m")
    with pytest.raises(ReasonerError):
        await panelist(fallback=False, **change).propose(CONTEXT, OPTIONS)


async def test_a_degraded_context_marks_the_proposal() -> None:
    context = CONTEXT.model_copy(update={"degraded": "memory is away"})
    assert (await panelist().propose(context, OPTIONS))[0].degraded == "memory is away"
    both = (await panelist(round=3).propose(context, OPTIONS))[0].degraded
    assert both
    assert both.startswith("memory is away; recorded failed: ")


def test_the_fingerprint_follows_parameters() -> None:
    first, same = (Panelist.build(persona(), Path("p")).fingerprint for _ in range(2))
    other = Panelist.build(persona(proposals=[VOTE | {"confidence": 0.7}]), Path("p")).fingerprint
    assert first == same != other


@pytest.mark.parametrize(
    ("who", "path"),
    [
        (persona(kind="oracle"), "reasoner.kind"),
        (persona(proposals=[]), "reasoner.parameters.proposals"),
        (persona(kind="llm", provider="openai"), "reasoner.parameters.model"),
        (persona(kind="llm", provider="openai", model="m", prompt="none_such"), "reasoner.parameters.prompt"),
        (persona(kind="llm", provider="openai", model="m", api_key="sk"), "reasoner.parameters.api_key"),
    ],
)
def test_what_cannot_be_built_names_file_and_path(who: Persona, path: str) -> None:
    with pytest.raises(CatalogError) as caught:
        Panelist.build(who, Path("pilot"))
    assert (caught.value.file, caught.value.path) == ("pilot/personas/clerk.yaml", path)


def test_every_reasoner_file_is_in_the_table() -> None:
    folder = Path(REASONERS["scorecard"].__code__.co_filename).parent
    builders = {file.stem for file in folder.glob("*.py") if "\ndef build(" in file.read_text()}
    assert builders == set(REASONERS)
