"""One JSON document from a file or a stream, read strictly."""

import json
import math
from pathlib import Path
from typing import Any, BinaryIO

from domain.errors import InputError

LIMIT_BYTES = 256 * 1024


def read_document(path: Path, stdin: BinaryIO) -> dict[str, Any]:
    """The JSON object in the file, `-` being stdin. Raises InputError that names the file and the place."""
    name = "stdin" if str(path) == "-" else str(path)
    try:
        if str(path) == "-":
            raw = stdin.read(LIMIT_BYTES + 1)
        else:
            with path.open("rb") as file:
                raw = file.read(LIMIT_BYTES + 1)
    except OSError as problem:
        raise InputError(f"{name}: cannot be read ({problem.strerror}): give a JSON file, or - for stdin") from None
    if len(raw) > LIMIT_BYTES:
        raise InputError(f"{name}: larger than {LIMIT_BYTES // 1024} KiB: give a smaller document")
    return parse_document(raw, name)


def parse_document(raw: bytes, name: str) -> dict[str, Any]:
    """Strict JSON: UTF-8, no duplicate names, no NaN or Infinity, an object at the root. Raises InputError."""
    try:
        found = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite
        )
    except json.JSONDecodeError as problem:
        raise InputError(f"{name}: line {problem.lineno} column {problem.colno}: {problem.msg}: give JSON") from None
    except UnicodeDecodeError as problem:
        raise InputError(f"{name}: byte {problem.start} is not UTF-8: save the file as UTF-8") from None
    except RecursionError:
        raise InputError(f"{name}: nested too deeply: give a flatter document") from None
    except ValueError as problem:
        raise InputError(f"{name}: {problem}") from None
    if not isinstance(found, dict):
        raise InputError(f"{name}: at (root): got {type(found).__name__}, expected an object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the name {key!r} stands twice in one object: keep one")
        found[key] = value
    return found


def _constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON: give a finite number or null")


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"the number {word} is too large: give a finite one")
    return value
