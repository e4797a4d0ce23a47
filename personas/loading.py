"""A pilot's personas, read from its folder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from domain.errors import CatalogError
from domain.persona import Persona
from personas.panel import Panelist
from personas.yaml_text import read_yaml


def load_personas(folder: Path) -> dict[str, Persona]:
    """The personas of `folder/personas/*.yaml` by id, each with a reasoner that can be built. Raises CatalogError."""
    personas = {}
    for file in sorted((folder / "personas").glob("*.yaml")):
        persona = _read(file)
        # Building once shows a broken parameter at load, not in the middle of a task.
        Panelist.build(persona, folder)
        personas[persona.id] = persona
    return personas


def _read(file: Path) -> Persona:
    try:
        value = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(str(file), "", f"a readable UTF-8 file ({error})") from error
    except yaml.YAMLError as error:
        raise CatalogError(str(file), "", f"valid YAML ({error})") from error
    try:
        persona = Persona.model_validate(value)
    except ValidationError as error:
        raise _broken(file, error.errors()) from error
    if persona.id != file.stem:
        raise CatalogError(str(file), "id", f"{file.stem!r}, the file's own name")
    return persona


def _broken(file: Path, problems: Iterable[Mapping[str, Any]]) -> CatalogError:
    first, *_ = problems
    return CatalogError(str(file), ".".join(str(part) for part in first["loc"]), str(first["msg"]))
