"""What one persona is shown in one round, within its view and the token budget."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.canonical import canonical_json
from domain.memory import Memory, PersonaContext, Recall
from domain.persona import Persona
from domain.task import UNDONE
from domain.task_type import ContextContract
from memory.episodes import visible

CHARACTERS_PER_TOKEN = 4
_OF_EPISODE = ("action", "outcome", "right", UNDONE)


def assemble(
    contract: ContextContract,
    persona: Persona,
    payload: Mapping[str, Any],
    recall: Recall,
    *,
    question: str,
    options: Sequence[str],
    round: int,
    shared: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    own_previous: Mapping[str, Any] | None,
) -> PersonaContext:
    """The persona's context. Over the budget, the lowest-ranked memories go first, then shared evidence, others'
    votes, and the longest working fields; `truncated` names each. The question, the options and the persona's own
    proposal always stay.
    """
    fields = [name for name in contract.working if name in persona.view and name not in contract.hide]
    parts: dict[str, Any] = {
        "working": {name: payload[name] for name in fields if name in payload},
        "episodes": [_episode(memory, fields) for memory in recall.episodes],
        "facts": [{"id": memory.id, "text": memory.text} for memory in recall.facts],
        "shared": [dict(item) for item in shared if item.get("field") not in contract.hide],
        "others": [dict(item) for item in others],
    }
    fixed = {"question": question, "options": list(options), "own_previous": own_previous}
    truncated = _fit(parts, contract.max_tokens * CHARACTERS_PER_TOKEN - _size(fixed))
    return PersonaContext(
        persona=persona.id,
        round=round,
        question=question,
        options=tuple(options),
        working=parts["working"],
        episodes=tuple(parts["episodes"]),
        facts=tuple(parts["facts"]),
        shared=tuple(parts["shared"]),
        others=tuple(parts["others"]),
        own_previous=None if own_previous is None else dict(own_previous),
        truncated=tuple(truncated),
        degraded=recall.degraded,
    )


def _episode(memory: Memory, fields: Sequence[str]) -> dict[str, Any]:
    """Only the lines of the persona's own view, and only what is known to be safe of the data."""
    result = {name: memory.data[name] for name in _OF_EPISODE if name in memory.data}
    return {"id": memory.id, "text": visible(memory.text, fields), **result}


def _fit(parts: dict[str, Any], budget: int) -> list[str]:
    """Shorten the parts until they fit the budget of characters; answers with the names of what was left out."""
    size = sum(_size(part) for part in parts.values())
    left_out = []
    while size > budget and (name := _least(parts)):
        kind, _, key = name.partition(":")
        if kind == "field":
            size -= _size({key: parts["working"].pop(key)})
        else:
            size -= _size(parts[kind].pop()) + 1
        left_out.append(_label(name))
    return left_out


def _least(parts: Mapping[str, Any]) -> str | None:
    """What matters least of what is left, as `<part>:<its name>`."""
    memories = max(("episodes", "facts"), key=lambda kind: len(parts[kind]))
    if parts[memories]:
        return f"{memories}:{parts[memories][-1]['id']}"
    for kind in ("shared", "others"):
        if parts[kind]:
            return f"{kind}:{parts[kind][-1].get('id', len(parts[kind]) - 1)}"
    working = parts["working"]
    return f"field:{max(working, key=lambda name: _size({name: working[name]}))}" if working else None


def _label(name: str) -> str:
    kind, _, key = name.partition(":")
    return f"{ {'episodes': 'episode', 'facts': 'fact', 'others': 'vote'}.get(kind, kind) }:{key}"


def _size(value: Any) -> int:
    return len(canonical_json(value))
