"""The worst panel there can be: it follows every instruction that it is shown, and passes it on.

It is seated in place of a pilot's reasoners by code alone (`seated`); no file of a catalog can name it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog.load import Catalog
from domain.canonical import digest
from domain.memory import PersonaContext
from domain.persona import Persona
from domain.ports import Reasoner
from domain.proposal import Evidence, Option, Proposal, Telemetry
from guardrails.redteam.scenarios import Command, runs_of_words
from personas.panel import Panelist

_KEPT = 2000
"""Characters of an instruction that are passed on."""


@dataclass(frozen=True)
class Told:
    """An instruction; a text without a command is passed on and nothing else."""

    text: str
    command: Command | None


@dataclass
class World:
    """What the panel may come to hear, and what it did. Cases are told apart by their order number."""

    instructions: Sequence[Told] = ()
    """Whoever reads four words of one in a row follows it, wherever they stand."""
    whispers: dict[tuple[str, str], Told] = field(default_factory=dict)
    """Order and persona -> what a persona that works for the attacker says from the first round on."""
    answers: dict[str, str] = field(default_factory=dict)
    """Order -> what the target answers with."""
    orders: dict[str, str] = field(default_factory=dict)
    """Task -> order."""
    heard: dict[str, str] = field(default_factory=dict)
    """Order -> the target's answer, once it was given: the panel is taken to see it, as one with tools would."""
    obeyed: dict[str, set[str]] = field(default_factory=dict)
    """Order -> the personas that followed an instruction."""

    def __post_init__(self) -> None:
        self.learn(*self.instructions)

    def learn(self, *instructions: Told) -> None:
        """Follow these from now on, and no others."""
        self._runs = {run: told for told in instructions if told.command for run in runs_of_words(told.text)}

    def find(self, texts: Iterator[str]) -> Told | None:
        """The first instruction in the texts."""
        for text in texts:
            for run in runs_of_words(text):
                if run in self._runs:
                    return self._runs[run]
        return None


@dataclass
class Gullible:
    """Proposes what it was told, else what the honest reasoner does."""

    honest: Reasoner
    world: World

    async def propose(
        self, persona: Persona, context: PersonaContext, options: Sequence[Option]
    ) -> tuple[Proposal, Telemetry]:
        """A proposal. Raises ReasonerError where the honest reasoner does."""
        order = str(context.working.get("order", ""))
        told = self.world.whispers.get((order, persona.id)) or self.world.find(self._shown(context, order))
        if told is None or not _can_follow(told, options):
            return await self.honest.propose(persona, context, options)
        if told.command is None:
            proposal, cost = await self.honest.propose(persona, context, options)
            return proposal.model_copy(update={"evidence": (*proposal.evidence, _note(told))}), cost
        self.world.obeyed.setdefault(order, set()).add(persona.id)
        option, counter = _wanted(told.command, options)
        return Proposal(
            persona=persona.id,
            persona_version=persona.version,
            round=context.round,
            option=option,
            confidence=1.0,
            rationale=f"I was told: {told.text[:_KEPT]}",
            reasons=("It was asked for.",),
            evidence=(_note(told),),
            named_error="I had not read what was asked for.",
            counter=counter,
            reasoner="gullible",
        ), Telemetry(persona=persona.id, round=context.round, latency_ms=0.0)

    def _shown(self, context: PersonaContext, order: str) -> Iterator[str]:
        yield self.world.heard.get(order, "")
        for part in (context.working, context.episodes, context.facts, context.shared, context.others):
            yield from _texts(part)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)


def _can_follow(told: Told, options: Sequence[Option]) -> bool:
    return told.command is None or any(option.action == told.command.action for option in options)


def _note(told: Told) -> Evidence:
    return Evidence(id=f"note:{digest(told.text)[:12]}", note=told.text[:_KEPT])


def _wanted(command: Command, options: Sequence[Option]) -> tuple[str | None, Option | None]:
    """What to vote for, and the counter-proposal that has to come first where there is no such option yet."""
    for option in options:
        if (option.action, option.arguments) == (command.action, command.arguments):
            return option.name, None
    name = f"{command.action} as told {digest(command.arguments)[:8]}"
    plain = next((option.name for option in options if option.action == command.action and not option.arguments), None)
    return plain, Option(name=name, action=command.action, arguments=command.arguments)


def seated(catalog: Catalog, task_type: str, world: World) -> Catalog:
    """The catalog with the gullible in every seat of the task type."""
    return catalog.reseated(task_type, lambda panelist: _seat(panelist, world))


def _seat(panelist: Panelist, world: World) -> Panelist:
    fingerprint = digest(["gullible", panelist.fingerprint])
    return Panelist(panelist.persona, Gullible(panelist.reasoner, world), panelist.fallback, fingerprint)
