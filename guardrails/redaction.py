"""Takes out of a value's texts what filters found in them."""

from collections.abc import Sequence
from typing import Any

from domain.guard import Hop, Subject
from domain.ports import Guard
from guardrails.text import readable

PASSES = 50
"""A filter reports so many places at a time; a text that still has some after as many passes is taken out whole."""


def redacted(value: Any, hop: Hop, guards: Sequence[Guard]) -> Any:
    """The plain-JSON value with every text in it redacted. Names of fields stay. Raises what a filter raises."""
    if isinstance(value, str):
        for guard in guards:
            value = _without(value, hop, guard)
        return value
    if isinstance(value, dict):
        return {name: redacted(inner, hop, guards) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(inner, hop, guards) for inner in value]
    return value


def _without(text: str, hop: Hop, guard: Guard) -> str:
    mark = f"[redacted: {guard.id}]"
    for _ in range(PASSES):
        finding = guard.check(Subject(hop=hop, text=text))
        if finding is None or not finding.spans:
            return text
        text = _cut(readable(text), finding.spans, mark)
    return mark


def _cut(text: str, spans: Sequence[tuple[int, int]], mark: str) -> str:
    parts, at = [], 0
    for start, end in _merged(spans):
        parts += [text[at:start], mark]
        at = end
    return "".join([*parts, text[at:]])


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
