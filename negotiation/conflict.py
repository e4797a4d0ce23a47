"""The sides of a conflict: who stands on each, what stands behind them, and what memory says."""

from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from typing import Any

from domain.proposal import Evidence, Proposal, Telemetry
from negotiation.background import Background
from negotiation.learned import Learned
from negotiation.votes import Vote

_MEMORY = ("episode:", "fact:")
_COUNTED = ("latency_ms", "prompt_tokens", "completion_tokens")


def conflict(
    votes: Sequence[Vote],
    weights: Mapping[str, float],
    spoken: Mapping[str, Proposal],
    learned: Learned | None,
    background: Mapping[str, Background],
) -> dict[str, Any] | None:
    """The sides, weightiest first; None where all who vote, vote alike. `spoken`: persona -> what it said for its vote.

    Personas' telemetry is not among it: a run measures it anew, so `with_telemetry` adds it when it is read.
    """
    options = sorted({vote.option for vote in votes if vote.option is not None})
    if len(options) < 2:
        return None
    sides = [
        _side(option, [vote for vote in votes if vote.option == option], weights, spoken, learned, background)
        for option in options
    ]
    return {"sides": sorted(sides, key=lambda side: (-side["weight"], side["option"]))}


def _side(
    option: str,
    votes: Sequence[Vote],
    weights: Mapping[str, float],
    spoken: Mapping[str, Proposal],
    learned: Learned | None,
    background: Mapping[str, Background],
) -> dict[str, Any]:
    return {
        "option": option,
        "weight": fsum(weights[vote.persona] for vote in votes),
        "fallbacks": sum(spoken[vote.persona].fallback_of is not None for vote in votes),
        "personas": [
            {
                "persona": vote.persona,
                "weight": weights[vote.persona],
                "confidence": vote.confidence,
                "reliability": _reliability(vote.persona, learned),
                "fallback_of": spoken[vote.persona].fallback_of,
                "telemetry": None,
            }
            for vote in votes
        ],
        "telemetry": None,
        "evidence": [stated(item, vote.persona) for vote in votes for item in spoken[vote.persona].evidence],
        "memory": _memory([background[vote.persona] for vote in votes if vote.persona in background]),
    }


def stated(item: Evidence, persona: str) -> dict[str, Any]:
    """What the persona put forward; of a memory its id alone, never words recalled."""
    told = {"persona": persona, **item.model_dump(mode="json")}
    return {**told, "value": None, "note": ""} if item.id.startswith(_MEMORY) else told


def _reliability(persona: str, learned: Learned | None) -> dict[str, Any] | None:
    """The persona's record in the calibration in force; None where there is none."""
    if learned is None or persona not in learned.rates:
        return None
    return {
        "rate": learned.rates[persona],
        "record": learned.sources.get(persona),
        "calibration": learned.version,
    }


def _memory(backgrounds: Sequence[Background]) -> dict[str, Any] | None:
    """Over the memories that the side's personas saw, each once: how the resolved ones turned out, by action."""
    if not backgrounds:
        return None
    seen = {memory.id: memory for background in backgrounds for memory in background.recalled}
    resolved = [memory for memory in seen.values() if memory.right is not None and memory.action is not None]
    actions = sorted({memory.action for memory in resolved if memory.action is not None})
    return {
        "episodes": sorted(memory.id for memory in seen.values() if memory.kind == "episodic"),
        "facts": sorted(memory.id for memory in seen.values() if memory.kind == "semantic"),
        "degraded": next((background.degraded for background in backgrounds if background.degraded), None),
        "by_action": [
            {
                "action": action,
                "cases": sum(memory.action == action for memory in resolved),
                "right": sum(memory.action == action and memory.right is True for memory in resolved),
            }
            for action in actions
        ],
    }


def with_telemetry(explanation: Mapping[str, Any], costs: Iterable[Telemetry]) -> dict[str, Any]:
    """The explanation with what each persona's answer of the deciding round cost; unchanged without a conflict."""
    told = explanation.get("conflict")
    if told is None:
        return dict(explanation)
    here = {cost.persona: cost for cost in costs if cost.round == explanation["result"]["round"]}
    return {**explanation, "conflict": {**told, "sides": [_measured(side, here) for side in told["sides"]]}}


def _measured(side: Mapping[str, Any], costs: Mapping[str, Telemetry]) -> dict[str, Any]:
    own = [costs[member["persona"]] for member in side["personas"] if member["persona"] in costs]
    personas = [{**member, "telemetry": _cost(costs.get(member["persona"]))} for member in side["personas"]]
    total = {name: fsum(getattr(cost, name) for cost in own) for name in _COUNTED}
    tokens = {name: int(total[name]) for name in _COUNTED if name != "latency_ms"}
    return {**side, "personas": personas, "telemetry": {**total, **tokens} if own else None}


def _cost(cost: Telemetry | None) -> dict[str, Any] | None:
    return None if cost is None else cost.model_dump(mode="json", exclude={"persona", "round"})
