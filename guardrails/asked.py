"""Which fields policies ask for, and which of those cannot be there: for Cedar such a condition never holds.

`context.payload has Amuont && ...` passes Cedar's own validation, since what stands behind the `has` is never read.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from guardrails.schema import FACTS, FILLED_BY_GATE, TypeSchema

_CONTEXT = {"Var": "context"}
_RECORDS = ("payload", "arguments")
_WHOLE = "*"


def unknown_fields(statement: Mapping[str, Any], schema: TypeSchema) -> tuple[str, ...]:
    """`payload.<field>`, `arguments.<name>` or a fact that no hop of the task type has, as the statement asks for them.

    `statement` is Cedar's JSON form of a policy.
    """
    known = {
        "": {*FILLED_BY_GATE, *(name for facts in FACTS.values() for name in facts)},
        "payload": set(schema.payload),
        "arguments": set(schema.arguments),
    }
    asked = (field for condition in statement.get("conditions", ()) for field in _asked(condition))
    return tuple(
        sorted({f"{part}.{name}".removeprefix(".") for part, name in asked if name not in known.get(part, {name})})
    )


def _asked(node: Any) -> Iterator[tuple[str, str]]:
    """(record, field) of every `has` on the context or on a record in it; the context itself is ''."""
    if isinstance(node, Mapping):
        has = node.get("has")
        if isinstance(has, Mapping) and (part := _part(has.get("left"))) is not None:
            yield part, str(has.get("attr"))
        for inner in node.values():
            yield from _asked(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _asked(inner)


def _part(left: Any) -> str | None:
    if left == _CONTEXT:
        return ""
    record = left.get(".") if isinstance(left, Mapping) else None
    if isinstance(record, Mapping) and record.get("left") == _CONTEXT:
        return str(record.get("attr"))
    return None


def fields_read(statements: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str] | None]:
    """Of `payload` and `arguments` the fields that the statements can tell apart; None: all of them.

    What none of them reads cannot change what they say.
    """
    found: dict[str, set[str]] = {name: set() for name in _RECORDS}
    for statement in statements:
        for condition in statement.get("conditions", ()):
            for record, field in _read(condition):
                found[record].add(field)
    return {name: None if _WHOLE in fields else frozenset(fields) for name, fields in found.items()}


def _read(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for inner in node:
            yield from _read(inner)
    elif node == _CONTEXT:
        # As a value of its own: every field of it counts.
        yield from ((record, _WHOLE) for record in _RECORDS)
    elif isinstance(node, Mapping):
        for operator, inner in node.items():
            place = inner if operator in (".", "has") and isinstance(inner, Mapping) else None
            part = None if place is None else _part(place.get("left"))
            if place is None or part is None:
                yield from _read(inner)
            elif part in _RECORDS:
                yield part, str(place["attr"])
            elif part == "" and operator == "." and place["attr"] in _RECORDS:
                yield str(place["attr"]), _WHOLE
