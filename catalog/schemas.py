"""Payload schemas: checked at load, compiled once."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jsonschema
import referencing

from domain.canonical import canonical_json
from domain.task_type import TaskType

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


class SchemaProblem(ValueError):
    """A payload schema cannot be used: where, and what was expected."""

    def __init__(self, location: tuple[str | int, ...], expected: str) -> None:
        self.location, self.expected = location, expected
        super().__init__(expected)


def check_schema(schema: dict[str, Any]) -> None:
    """Raise SchemaProblem unless this is a closed JSON Schema (2020-12) of an object, complete in itself."""
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        canonical_json(schema)
    except jsonschema.SchemaError as error:
        raise SchemaProblem(tuple(error.absolute_path), error.message) from error
    except (TypeError, ValueError) as error:
        raise SchemaProblem((), f"plain JSON; quote dates ({error})") from error
    if schema.get("type") != "object":
        raise SchemaProblem(("type",), f"object, got {schema.get('type')!r}")
    if not schema.get("properties"):
        raise SchemaProblem(("properties",), "at least one field")
    if schema.get("additionalProperties", False) is not False:
        raise SchemaProblem(("additionalProperties",), "false: unknown fields are refused")
    for location, part in _parts((), schema):
        _check_reference(location, part, schema)
        _check_enum(location, part)
    _check_circles(schema)


def validator(task_type: TaskType) -> jsonschema.Draft202012Validator:
    """The compiled schema of the task type's payloads; unknown fields are refused whether or not it says so."""
    return _compiled(canonical_json({**task_type.payload_schema, "additionalProperties": False}))


@lru_cache(maxsize=256)
def _compiled(text: str) -> jsonschema.Draft202012Validator:
    schema = _plain(text)
    # An empty registry: a reference must never reach for the network.
    return jsonschema.Draft202012Validator(
        schema,
        registry=referencing.Registry(),
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


def _plain(text: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(text)
    return schema


def types_of(schema: dict[str, Any], part: Any) -> frozenset[str]:
    """The JSON types that a part of the schema names, by itself, by reference or as alternatives; empty for any."""
    if not isinstance(part, dict):
        return frozenset()
    if "$ref" in part:
        return types_of(schema, resolve(schema, part["$ref"]))
    if "type" in part:
        return frozenset([part["type"]] if isinstance(part["type"], str) else part["type"])
    alternatives = [types_of(schema, other) for key in ("anyOf", "oneOf") for other in part.get(key, ())]
    return frozenset().union(*alternatives)


def resolve(schema: dict[str, Any], reference: str) -> Any:
    """What a reference inside the schema points at. Raises KeyError."""
    found: Any = schema
    for step in reference.removeprefix("#").split("/")[1:]:
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def _parts(location: tuple[str | int, ...], value: Any) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    if isinstance(value, dict):
        yield location, value
        for key, part in value.items():
            if key not in ("enum", "const", "default", "examples"):
                yield from _parts((*location, key), part)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _parts((*location, index), part)


def _check_reference(location: tuple[str | int, ...], part: dict[str, Any], schema: dict[str, Any]) -> None:
    reference = part.get("$ref")
    if not isinstance(reference, str):
        return
    try:
        if not reference.startswith("#/$defs/"):
            raise KeyError(reference)
        resolve(schema, reference)
    except (KeyError, TypeError) as error:
        raise SchemaProblem((*location, "$ref"), f"a reference to a part of $defs, got {reference!r}") from error


def _check_circles(schema: dict[str, Any]) -> None:
    for name, part in schema["properties"].items():
        try:
            types_of(schema, part)
        except RecursionError as error:
            raise SchemaProblem(("properties", name), "no references in a circle") from error


def _check_enum(location: tuple[str | int, ...], part: dict[str, Any]) -> None:
    """YAML reads a bare `yes` as true: an enum that its own type excludes is a mistake, not a choice."""
    if not isinstance(part.get("enum"), list) or "type" not in part:
        return
    names = part["type"] if isinstance(part["type"], list) else [part["type"]]
    for index, value in enumerate(part["enum"]):
        fits = any(
            isinstance(value, _TYPES.get(name, ())) and (name == "boolean" or not isinstance(value, bool))
            for name in names
        )
        if not fits:
            where = (*location, "enum", index)
            raise SchemaProblem(where, f"a value of type {' or '.join(names)}, got {value!r} (quote yes, no, on, off)")
