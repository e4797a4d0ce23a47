"""One JSON document from a file or a stream, read strictly."""

from pathlib import Path
from typing import Any, BinaryIO

from domain.errors import InputError
from domain.strict_json import JsonRefused, parse

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
    return parse_document(raw, name)


def parse_document(raw: bytes, name: str) -> dict[str, Any]:
    """Strict JSON, an object at the root. Raises InputError."""
    try:
        found = parse(raw, limit=LIMIT_BYTES)
    except JsonRefused as problem:
        raise InputError(f"{name}: {problem}") from None
    if not isinstance(found, dict):
        raise InputError(f"{name}: at (root): got {type(found).__name__}, expected an object")
    return found
