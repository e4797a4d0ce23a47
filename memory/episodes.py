"""A task's payload as the text of an episode: one `field: value` line each, so that lines can be left out again."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from domain.task_type import ContextContract


def describe(contract: ContextContract, payload: Mapping[str, Any]) -> str:
    """The contract's working fields as text for embedding, hidden and absent fields left out."""
    names = [name for name in contract.working if name not in contract.hide and name in payload]
    return "\n".join(f"{_label(name)}: {_value(payload[name])}" for name in names)


def visible(text: str, fields: Collection[str]) -> str:
    """The lines of such a text that belong to `fields`; every other line is left out."""
    labels = {_label(name) for name in fields}
    return "\n".join(line for line in text.split("\n") if line.partition(": ")[0] in labels and ": " in line)


def _label(name: str) -> str:
    """The field's name on one line, without the separator."""
    return json.dumps(name, ensure_ascii=False)[1:-1].replace(":", "\\u003a")


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text[1:-1] if isinstance(value, str) else text
