"""What a policy may ask: the Cedar schema of a task type, from one table of facts and its payload's schema."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import cedarpy

from domain.guard import Hop
from domain.task_type import TaskType
from guardrails.words import known_words

SIGNALS = {
    "protected_attributes": "protected_attribute_bp",
    "secrets": "secret_bp",
    "leaving_secrets": "secret_bp",
    "injection": "injection_bp",
    "pii": "pii_bp",
    "presidio": "pii_bp",
    "form": "malformed_bp",
    "judge": "harm_bp",
    "middleware": "middleware_bp",
    "human_in_the_loop": "middleware_bp",
}
"""Filter -> the attribute that holds its highest score, in basis points (0..10000). Filters may share one."""

FLAGS = {"judged": "judged", "approval_required": "asks_human"}
"""Category of a finding -> the attribute that says whether there is one."""

FILLED_BY_GATE = {
    **dict.fromkeys(SIGNALS.values(), "Long"),
    **dict.fromkeys(FLAGS.values(), "Bool"),
    "guard_error": "Bool",
}
"""Attributes of every hop. A subject that brings one of them itself is denied."""

PAYLOAD = "Payload"
ARGUMENTS = "Arguments"

FACTS: dict[Hop, dict[str, str]] = {
    Hop.INPUT: {"stake_cents": "Long", "payload": PAYLOAD},
    Hop.RETRIEVED: {"source": "String", "tainted": "Bool"},
    Hop.PROPOSAL: {
        "subtask": "String",
        "persona": "String",
        "action": "String",
        "confidence_bp": "Long",
        "reason_count": "Long",
        "has_rationale": "Bool",
        "evidence_count": "Long",
    },
    Hop.ARGUMENTS: {
        "subtask": "String",
        "action": "String",
        "arguments": ARGUMENTS,
        "risk": "String",
        "side_effect": "Bool",
        "stake_cents": "Long",
        "reason_count": "Long",
        "explained": "Bool",
        "margin_bp": "Long",
        "rounds": "Long",
        "strategy": "String",
        "result": "String",
        "memory_degraded": "Bool",
        "approved": "Bool",
        "edited": "Bool",
        "tainted": "Bool",
        "provenance": "Set<String>",
        "payload": PAYLOAD,
    },
    Hop.RESPONSE: {"subtask": "String", "executor": "String", "status": "String"},
}
"""Hop -> the facts a subject must bring, all of them and no others.

`approved`: people's answer bound to exactly this digest stands; `edited`: with arguments of their own. `tainted`:
something that it rests on was found to carry instructions. `provenance`: where what its panel saw came from.
"""

USUAL: dict[Hop, dict[str, Any]] = {
    Hop.INPUT: {"payload": {}},
    Hop.RETRIEVED: {"tainted": False},
    Hop.PROPOSAL: {"subtask": "example"},
    Hop.ARGUMENTS: {
        "subtask": "example",
        "arguments": {},
        "risk": "low",
        "side_effect": True,
        "edited": False,
        "tainted": False,
        "provenance": [],
        "payload": {},
    },
    Hop.RESPONSE: {"subtask": "example", "executor": "record_decision"},
}
"""What an example of a policy need not state."""

_KINDS = {"integer": "Long", "boolean": "Bool", "string": "String", "number": "decimal"}
_PLACES = Decimal("0.0001")
_LONG = 2**63


@dataclass(frozen=True, slots=True)
class TypeSchema:
    """The schema of one task type."""

    text: str
    parsed: cedarpy.Schema
    entities: cedarpy.Entities
    payload: Mapping[str, str]
    """Payload field -> its Cedar type. A field of another form, or with an unusual name, is not for policy to see."""
    arguments: Mapping[str, str]
    """The same of the arguments that actions declare a type for."""
    words: Mapping[str, frozenset[str]]
    """Fact, or `payload.<field>` -> the words that it can be for this type; any text may stand in the others."""

    def context(
        self, facts: Mapping[str, Any], reads: Mapping[str, frozenset[str] | None] | None = None
    ) -> dict[str, Any]:
        """The facts as Cedar reads them; of payload and arguments no more than `reads`, where it says what is read.

        Raises TypeError or ValueError where a field of either, read or not, cannot be the type's.
        """
        context, wanted = dict(facts), reads or {}
        if "payload" in facts:
            context["payload"] = _record(facts["payload"], self.payload, wanted.get("payload"))
        if "arguments" in facts:
            context["arguments"] = _record(facts["arguments"], self.arguments, wanted.get("arguments"), empty=False)
        return context


def principal_type(hop: Hop) -> str:
    """Who acts at a hop: a persona proposes; everything else is done for the submitter."""
    return "Persona" if hop is Hop.PROPOSAL else "Submitter"


def schema_of(task_type: TaskType) -> TypeSchema:
    """The task type's schema: its name, its personas and its payload are part of it."""
    fields = task_type.payload_schema.get("properties", {})
    payload = {name: kind for name, field in sorted(fields.items()) if (kind := _kind(name, field))}
    personas = sorted({persona for spec in task_type.plan.subtasks for persona in spec.panel})
    arguments = {name: _KINDS[kind] for name, kind in task_type.argument_types().items() if name.isprintable()}
    text = _text(task_type.name, personas, {PAYLOAD: payload, ARGUMENTS: arguments})
    parsed = _parsed(text)
    entities = cedarpy.Entities.from_json_str("[]", parsed)
    return TypeSchema(text, parsed, entities, payload, arguments, known_words(task_type))


def _text(name: str, personas: list[str], records: Mapping[str, Mapping[str, str]]) -> str:
    return "\n".join(
        [
            f"entity Persona enum [{', '.join(map(_quoted, personas))}];",
            'entity Submitter enum ["submitter"];',
            f"entity Task enum [{_quoted(name)}];",
            *(f"type {record} = {{{_attributes(kinds)}}};" for record, kinds in records.items()),
            *(_action(hop) for hop in Hop),
            "",
        ]
    )


def _attributes(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{_quoted(field)}?: {kind}" for field, kind in kinds.items())


def _action(hop: Hop) -> str:
    attributes = ", ".join(f"{name}: {kind}" for name, kind in sorted({**FILLED_BY_GATE, **FACTS[hop]}.items()))
    applies = f"principal: [{principal_type(hop)}], resource: [Task], context: {{{attributes}}}"
    return f'action "{hop}" appliesTo {{ {applies} }};'


def _kind(name: str, field: Any) -> str | None:
    """The Cedar type of a payload field; a field that may also be null is one that may be absent."""
    given = field.get("type") if isinstance(field, Mapping) else None
    kinds = [kind for kind in ([given] if isinstance(given, str) else given or []) if kind != "null"]
    return _KINDS.get(kinds[0]) if len(kinds) == 1 and name.isprintable() else None


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _record(
    given: Any, kinds: Mapping[str, str], wanted: frozenset[str] | None = None, *, empty: bool = True
) -> dict[str, Any]:
    """`empty`: whether a null stands for a field that is not there."""
    if not isinstance(given, Mapping):
        raise TypeError("a mapping was expected")
    there = {
        name: _READ[kind](given[name])
        for name, kind in kinds.items()
        if (name in given if not empty else given.get(name) is not None)
    }
    return there if wanted is None else {name: value for name, value in there.items() if name in wanted}


def _decimal(value: Any) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a number was expected")
    amount = Decimal(str(value)).quantize(_PLACES)
    if not -_LONG <= amount / _PLACES < _LONG:
        raise ValueError("a number that Cedar can hold was expected")
    return {"__extn": {"fn": "decimal", "arg": f"{amount:f}"}}


def _long(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("an integer was expected")
    if not -_LONG <= value < _LONG:
        raise ValueError("an integer that Cedar can hold was expected")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("a truth value was expected")
    return value


def _text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text was expected")
    value.encode()  # a lone surrogate is no text
    return value


_READ: Mapping[str, Callable[[Any], Any]] = {"Long": _long, "Bool": _bool, "String": _text_of, "decimal": _decimal}
"""Cedar type -> a value of it; what no policy reads is held against its type all the same."""


@cache
def _parsed(text: str) -> cedarpy.Schema:
    return cedarpy.Schema.from_str(text)
