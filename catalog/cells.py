"""A CSV cell as the value that the payload schema asks for."""

import re
from typing import Any

from catalog.schemas import types_of
from domain.strict_json import JsonRefused, parse

_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_BOOLEAN = {"true": True, "false": False}


def convert(schema: dict[str, Any], field: str, cell: str) -> Any:
    """The cell's value; null for an empty one. Raises ValueError saying what was expected.

    Of several types the narrowest that fits is taken: boolean, integer, number, object or array, then text.
    """
    if cell == "":
        return None
    types = types_of(schema, schema["properties"][field])
    if "boolean" in types and cell.lower() in _BOOLEAN:
        return _BOOLEAN[cell.lower()]
    if types & {"integer", "number"} and (number := _number(cell, "number" in types)) is not None:
        return number
    if types & {"object", "array"} and (value := _structure(cell)) is not None:
        return value
    if not types or "string" in types:
        return cell
    raise ValueError(f"{field}: got {cell[:60]!r}, expected {' or '.join(sorted(types))}")


def _number(cell: str, fractions: bool) -> int | float | None:
    text = cell.strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    if fractions:
        return value
    # JSON Schema counts 3.0 among the integers.
    return int(value) if value.is_integer() else None


def _structure(cell: str) -> Any:
    try:
        value = parse(cell)
    except JsonRefused:
        return None
    return value if isinstance(value, (dict, list)) else None
