"""The recorded reasoner replays what it was given."""

from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import ReasonerError
from domain.memory import PersonaContext
from domain.persona import Persona, ReasonerSpec
from domain.proposal import Proposal
from personas.reasoners.recorded import build

RECORDS = [
    {"when": {"Case": "a"}, "option": "approve", "confidence": 0.9, "rationale": "First."},
    {"when": {"Case": "a"}, "round": 1, "option": "decline", "confidence": 0.8, "rationale": "On reflection."},
    {"when": {"Case": "b"}, "option": None, "confidence": 0.5, "rationale": "Unsure."},
]


async def replay(case: str, round_number: int, records: list[dict[str, Any]] = RECORDS) -> Proposal:
    parameters = {"proposals": records}
    spec = ReasonerSpec(kind="recorded", parameters=parameters)
    who = Persona(id="clerk", version=1, role="Replays", view=("Case",), reasoner=spec)
    context = PersonaContext(persona="clerk", round=round_number, question="?", options=(), working={"Case": case})
    return (await build(who, parameters).propose(who, context, ()))[0]


async def test_each_case_and_round_has_its_record() -> None:
    assert (await replay("a", 0)).option == "approve"
    assert (await replay("a", 1)).option == "decline"
    assert (await replay("b", 0)).option is None


async def test_the_last_record_stands_for_later_rounds() -> None:
    proposal = await replay("a", 4)
    assert (proposal.round, proposal.rationale, proposal.reasoner) == (4, "On reflection.", "recorded")


async def test_what_is_not_recorded_is_an_error() -> None:
    with pytest.raises(ReasonerError, match="round 0"):
        await replay("c", 0)


@pytest.mark.parametrize("bad", [{"confidence": 2}, {"confidence": float("nan")}, {"extra": 1}, {"round": -1}])
async def test_broken_records_are_refused_at_load(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await replay("a", 0, [RECORDS[0] | bad])
