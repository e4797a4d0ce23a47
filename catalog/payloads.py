"""A payload against its task type's schema, every problem at once."""

import math
from collections.abc import Iterator
from typing import Any

import jsonschema

from catalog.schemas import validator
from catalog.yaml_files import dotted
from domain.canonical import canonical_json
from domain.errors import PayloadError
from domain.task_type import TaskType

MAX_DEPTH = 32
MAX_CHARACTERS = 1024 * 1024
MAX_INTEGER = 2**63
SHOWN = 60


def check_payload(task_type: TaskType, payload: object) -> dict[str, Any]:
    """The payload as it may be stored. Raises PayloadError listing path, got and expected of every problem."""
    if not isinstance(payload, dict):
        raise PayloadError(_listed(task_type, [f"(root): got {_shown(payload)}, expected an object"]))
    problems = list(_unstorable(payload))
    if not problems and len(canonical_json(payload)) > MAX_CHARACTERS:
        problems = [f"(root): got more, expected at most {MAX_CHARACTERS} characters of JSON"]
    if not problems:
        errors = sorted(validator(task_type).iter_errors(payload), key=lambda error: [*map(str, error.absolute_path)])
        problems = list(dict.fromkeys(line for error in errors for line in _lines(error)))
    if problems:
        raise PayloadError(_listed(task_type, problems))
    return payload


def _listed(task_type: TaskType, problems: list[str]) -> str:
    return "\n".join([f"the payload is not a {task_type.name}:", *(f"- {problem}" for problem in problems)])


def _unstorable(payload: dict[str, Any]) -> Iterator[str]:
    """What JSON or the database cannot hold: checked before the schema, which would let it pass."""
    rest: list[tuple[tuple[str | int, ...], Any]] = [((), payload)]
    while rest:
        location, value = rest.pop()
        if len(location) > MAX_DEPTH:
            yield f"{dotted(location[:4])}...: got more, expected at most {MAX_DEPTH} levels"
            return
        expected = _expected_instead(value)
        if expected:
            yield f"{dotted(location)}: got {_shown(value)}, expected {expected}"
        elif isinstance(value, dict):
            for key, part in value.items():
                problem = "a text key" if not isinstance(key, str) else _expected_instead(key)
                if problem:
                    yield f"{dotted(location) or '(root)'}: got the key {_shown(key)}, expected {problem}"
                else:
                    rest.append(((*location, key), part))
        elif isinstance(value, list):
            rest.extend(((*location, index), part) for index, part in enumerate(value))


def _expected_instead(value: Any) -> str | None:
    if isinstance(value, str):
        storable = "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
        return None if storable else "text without NUL and lone surrogates"
    if isinstance(value, float):
        return None if math.isfinite(value) else "a finite number"
    if isinstance(value, int):
        return None if abs(value) < MAX_INTEGER else "an integer of at most 64 bits"
    return None if value is None or isinstance(value, (list, dict)) else "plain JSON"


def _lines(error: jsonschema.ValidationError) -> Iterator[str]:
    """The problem as `path: got ..., expected ...`; one line for each unknown field."""
    path = list(error.absolute_path)
    wanted: Any = error.validator_value
    schema, value = error.schema, error.instance
    if error.validator == "additionalProperties" and isinstance(schema, dict) and isinstance(value, dict):
        known = schema.get("properties", {})
        for name in sorted(value.keys() - known.keys()):
            yield f"{dotted([*path, name])}: got an unknown field, expected one of {', '.join(sorted(known))}"
        return
    if error.validator == "required" and isinstance(value, dict):
        for name in wanted:
            if name not in value:
                yield f"{dotted([*path, name])}: got nothing, expected a value"
        return
    yield f"{dotted(path) or '(root)'}: got {_shown(value)}, expected {_expected(error)}"


def _expected(error: jsonschema.ValidationError) -> str:
    wanted: Any = error.validator_value
    if error.validator == "type":
        return " or ".join([wanted] if isinstance(wanted, str) else wanted)
    if error.validator == "enum":
        return f"one of {', '.join(_shown(choice) for choice in wanted)}"
    return f"{error.validator} {_shown(wanted)}"


def _shown(value: object) -> str:
    text = ascii(value) if isinstance(value, (str, int, float, bool)) else repr(value)
    text = {"True": "true", "False": "false", "None": "null"}.get(text, text)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
