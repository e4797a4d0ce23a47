"""The table of reasoners: how a persona reaches a proposal."""

from collections.abc import Callable, Mapping
from typing import Any

from domain.persona import Persona
from domain.ports import Reasoner
from personas.reasoners import llm, recorded, scorecard

Builder = Callable[[Persona, Mapping[str, Any]], Reasoner]
"""Raises pydantic.ValidationError when the parameters do not fit."""

REASONERS: dict[str, Builder] = {
    "scorecard": scorecard.build,
    "llm": llm.build,
    "recorded": recorded.build,
}
