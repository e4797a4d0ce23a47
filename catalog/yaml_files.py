"""Catalog files as plain values, and what is wrong with them as CatalogError."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from domain.errors import CatalogError

MAX_BYTES = 1024 * 1024
MAX_NODES = 200_000


def read_yaml(file: Path) -> Any:
    """The file's value. Raises CatalogError: unreadable, too large, not YAML, a key given twice."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise CatalogError(str(file), "", f"a file of at most {MAX_BYTES} bytes")
        value = yaml.load(content.decode("utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(str(file), "", f"a readable UTF-8 file ({error})") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise CatalogError(str(file), "", f"valid YAML ({error})") from error
    _refuse_bomb(file, value)
    return value


def dotted(location: Sequence[str | int]) -> str:
    """A path inside a file: `plan.subtasks[0].strategy.name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def broken(file: Path, error: ValidationError, prefix: Sequence[str | int] = ()) -> CatalogError:
    """The first problem that a model found, as it stands in the file; of a mistyped name, the one that is there."""
    found = error.errors()
    problem, said = found[0], str(found[0]["msg"])
    if problem["type"] == "missing":
        beside = (one for one in found if one["type"] == "extra_forbidden" and one["loc"][:-1] == problem["loc"][:-1])
        if (unknown := next(beside, None)) is not None:
            problem, said = unknown, f"{unknown['msg']}, and {problem['loc'][-1]} is missing"
    return CatalogError(str(file), dotted([*prefix, *problem["loc"]]), said)


class _Loader(yaml.SafeLoader):
    """A safe loader that takes every key as text (`no:` is "no") and refuses one that is given twice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "expected a plain key", key_node.start_mark)
        if key_node.value in mapping:
            problem = f"the key {key_node.value!r} is given twice"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        mapping[key_node.value] = loader.construct_object(value_node, deep=True)
    return mapping


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _refuse_bomb(file: Path, value: Any) -> None:
    """A small file with nested aliases can stand for a huge value, or for one that contains itself."""
    rest, seen = [value], 0
    while rest:
        part = rest.pop()
        seen += 1
        if seen > MAX_NODES:
            raise CatalogError(str(file), "", f"at most {MAX_NODES} values, aliases counted out")
        if isinstance(part, dict):
            rest.extend(part.values())
        elif isinstance(part, list):
            rest.extend(part)
