"""A persona at the table: its reasoner, its fallback, and what each proposal cost."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from domain.canonical import digest
from domain.errors import CatalogError, ReasonerError
from domain.memory import PersonaContext
from domain.persona import Persona, ReasonerSpec
from domain.ports import Reasoner
from domain.proposal import Option, Proposal, Telemetry
from personas.reasoners import REASONERS
from personas.reasoners.failure import CostlyFailure

Before = Callable[[], Awaitable[None]]
CALLS_OUT = frozenset({"llm"})
"""Kinds of reasoner that ask something outside this process."""


@dataclass(frozen=True)
class Panelist:
    """A persona that can be asked for proposals."""

    persona: Persona
    reasoner: Reasoner
    fallback: Reasoner | None
    fingerprint: str
    """Digest of all that shapes a proposal besides the context: persona, parameters, prompts, model."""

    @classmethod
    def build(cls, persona: Persona, folder: Path) -> "Panelist":
        """The panelist of a persona whose file is in `folder/personas`. Raises CatalogError."""
        file = str(folder / "personas" / f"{persona.id}.yaml")
        reasoner = _reasoner(persona, persona.reasoner, file, "reasoner")
        fallback = _reasoner(persona, persona.fallback, file, "fallback") if persona.fallback else None
        prompts = [getattr(part, "prompt", "") for part in (reasoner, fallback)]
        return cls(persona, reasoner, fallback, digest([persona.model_dump(mode="json"), prompts]))

    async def propose(
        self, context: PersonaContext, options: Sequence[Option], before_call: Before | None = None
    ) -> tuple[Proposal, Telemetry]:
        """One valid proposal with its cost. Raises ReasonerError when the reasoner and its fallback both fail.

        `before_call` is awaited before a reasoner that calls out is asked, and may raise to keep it from that.
        """
        started = time.perf_counter()
        try:
            await self._look(self.persona.reasoner, before_call)
            proposal, telemetry = await self._ask(self.reasoner, context, options)
            return self._mark(proposal, context), _timed(telemetry, started)
        except ReasonerError as error:
            if self.fallback is None:
                raise
            failure = error
        try:
            await self._look(self.persona.fallback, before_call)
            proposal, spent = await self._ask(self.fallback, context, options)
        except ReasonerError as error:
            raise ReasonerError(f"{failure}; its fallback: {error}") from error
        proposal = proposal.model_copy(update={"fallback_of": self.persona.reasoner.kind})
        why = f"{self.persona.reasoner.kind} failed: {failure}"
        telemetry = _with_failure(spent, failure)
        return self._mark(proposal, context, why), _timed(telemetry, started)

    async def _look(self, spec: ReasonerSpec | None, before_call: Before | None) -> None:
        if before_call is not None and spec is not None and spec.kind in CALLS_OUT:
            await before_call()

    async def _ask(
        self, reasoner: Reasoner, context: PersonaContext, options: Sequence[Option]
    ) -> tuple[Proposal, Telemetry]:
        proposal, telemetry = await reasoner.propose(self.persona, context, options)
        problem = self._problem(proposal, context, options)
        if problem:
            raise CostlyFailure(problem, telemetry)
        return proposal, telemetry

    def _problem(self, proposal: Proposal, context: PersonaContext, options: Sequence[Option]) -> str | None:
        if (proposal.persona, proposal.persona_version) != (self.persona.id, self.persona.version):
            return "the proposal names another persona"
        if proposal.round != context.round:
            return f"the proposal is for round {proposal.round}, not {context.round}"
        names = {option.name for option in options}
        for field, name in (("option", proposal.option), ("veto", proposal.veto)):
            if name is not None and name not in names:
                return f"the proposal's {field} is not among the options"
        # A copy made without validation may carry what the model itself would refuse.
        if not (math.isfinite(proposal.confidence) and 0.0 <= proposal.confidence <= 1.0):
            return "the proposal's confidence is not in [0, 1]"
        return None

    def _mark(self, proposal: Proposal, context: PersonaContext, failure: str | None = None) -> Proposal:
        marks = [mark for mark in (proposal.degraded, context.degraded, failure) if mark]
        return proposal.model_copy(update={"degraded": "; ".join(dict.fromkeys(marks)) or None})


def _reasoner(persona: Persona, spec: ReasonerSpec, file: str, path: str) -> Reasoner:
    build = REASONERS.get(spec.kind)
    if build is None:
        raise CatalogError(file, f"{path}.kind", f"one of {', '.join(sorted(REASONERS))}")
    try:
        return build(persona, spec.parameters)
    except ValidationError as error:
        problem: Mapping[str, Any] = error.errors()[0]
        where = ".".join(str(part) for part in (path, "parameters", *problem["loc"]))
        raise CatalogError(file, where, str(problem["msg"])) from error


def _timed(telemetry: Telemetry, started: float) -> Telemetry:
    return telemetry.model_copy(update={"latency_ms": (time.perf_counter() - started) * 1000})


def _with_failure(spent: Telemetry, failure: ReasonerError) -> Telemetry:
    """The fallback's cost plus that of the failed attempt, whose model is the one that was paid."""
    update: dict[str, Any] = {"fallback": True, "error": str(failure)}
    if isinstance(failure, CostlyFailure):
        update["prompt_tokens"] = spent.prompt_tokens + failure.telemetry.prompt_tokens
        update["completion_tokens"] = spent.completion_tokens + failure.telemetry.completion_tokens
        update["model"] = failure.telemetry.model or spent.model
    return spent.model_copy(update=update)
