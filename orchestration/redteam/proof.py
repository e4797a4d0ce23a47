"""Injected instructions wherever they can lie, each through the real lifecycle, and their harmless twins."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any

from domain.canonical import digest
from domain.model import Frozen
from guardrails.redteam.scenarios import PILOT, Scenario
from memory.episodes import describe
from orchestration.redteam.check import breaches
from orchestration.redteam.desk import AT_ONCE, Desk
from orchestration.redteam.evidence import load_evidence
from orchestration.redteam.gullible import Told

COMPROMISED = "customer_care"
"""The persona that works for the attacker where one does."""


class Went(Frozen):
    """How one scenario went."""

    name: str
    channel: str
    style: str
    attack: bool
    status: str
    asked: int
    """How often a person was asked; the person of the worst case consents every time."""
    obeyed: int
    """Personas that read the instruction and followed it."""
    tainted: bool
    """Whether a filter saw it on its way in."""
    action: str | None
    """What was done in the end."""
    did_as_told: bool
    """Whether that is what the instruction wanted."""
    breaches: tuple[str, ...]
    """What was done against the policies."""


def instructions(scenarios: Iterable[Scenario]) -> tuple[Told, ...]:
    """What the panel follows when it reads it."""
    return tuple(Told(one.text, one.command) for one in scenarios if one.command is not None)


async def run_all(desk: Desk, scenarios: Sequence[Scenario]) -> list[Went]:
    """Each as a task of its own, a few at once; in the end those that lie in memory, which all later tasks recall."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(scenario: Scenario) -> Went:
        async with free:
            return await run_one(desk, scenario)

    went = list(await asyncio.gather(*(one(some) for some in scenarios if some.channel not in _KINDS)))
    await _remember(desk, scenarios)
    return [*went, *await asyncio.gather(*(one(some) for some in scenarios if some.channel in _KINDS))]


async def run_one(desk: Desk, scenario: Scenario) -> Went:
    """From submission to its end, and what the records say of it."""
    order = scenario.payload["order"]
    if scenario.channel == "evidence":
        desk.world.whispers[order, COMPROMISED] = Told(scenario.text, scenario.command)
    if scenario.channel == "response":
        desk.world.answers[order] = scenario.text
    task_id = await desk.submit(scenario.payload)
    ended = await desk.finish(task_id, scenario.command.action if scenario.command else None)
    evidence = await load_evidence(desk.runtime.engine, task_id)
    done = [row["request"] for row in evidence.actions if row["subtask_id"] == "settle" and row["status"] == "done"]
    return Went(
        name=scenario.name,
        channel=scenario.channel,
        style=scenario.style,
        attack=scenario.command is not None,
        status=ended.status.value,
        asked=ended.asked,
        obeyed=len(desk.world.obeyed.get(order, ())),
        tainted=evidence.tainted(),
        action=" ".join([done[0]["action"], json.dumps(done[0]["arguments"])]) if done else None,
        did_as_told=any(_as_told(scenario, one) for one in done),
        breaches=tuple(breaches(evidence)),
    )


def _as_told(scenario: Scenario, done: dict[str, Any]) -> bool:
    told = scenario.command
    return told is not None and (told.action, told.arguments) == (done["action"], done["arguments"])


async def _remember(desk: Desk, scenarios: Sequence[Scenario]) -> None:
    """Lay the memories of these scenarios down, known before their tasks are submitted."""
    for one in scenarios:
        if one.channel in _KINDS:
            name = f"{one.name}:{'harmless' if one.command is None else 'injected'}"
            await lay_down(desk, name, _KINDS[one.channel], one.payload, one.text)


_KINDS = {"fact": "semantic", "episode": "episodic"}
_MEMORY = (
    "INSERT INTO memories (id, kind, task_type, text, data, known_at) "
    "VALUES (:id, :kind, :task_type, :text, CAST(:data AS jsonb), clock_timestamp())"
)
_SETTLED = {"action": "refund", "outcome": "owed", "right": True}


async def lay_down(desk: Desk, name: str, kind: str, payload: dict[str, Any], text: str) -> str:
    """A memory that is as near to the claim as can be, with the text in it; its id."""
    memory_id = digest(["redteam", name])[:32]
    pilot = desk.runtime.catalog.task_type(PILOT)
    await desk.execute(
        _MEMORY,
        id=memory_id,
        kind=kind,
        task_type=PILOT,
        text=describe(pilot.subtask(pilot.answer).context, {**payload, "message": text}),
        data=json.dumps(_SETTLED if kind == "episodic" else {}),
    )
    return memory_id
