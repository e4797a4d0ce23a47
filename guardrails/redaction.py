"""Takes out of a value's texts what filters found in them."""

from collections.abc import Sequence
from typing import Any

from domain.guard import Hop, Subject
from domain.ports import Guard, Rewriting
from guardrails.text import readable

PASSES = 50
"""A filter reports so many places at a time; a text that still has some after as many passes is taken out whole."""


def redacted(value: Any, hop: Hop, guards: Sequence[Guard], name: str = "") -> Any:
    """The plain-JSON value with every text in it redacted. Names of fields stay. Raises what a filter raises."""
    if isinstance(value, str):
        for guard in guards:
            value = _without(value, hop, guard, name)
        return value
    if isinstance(value, dict):
        return {field: redacted(inner, hop, guards, field) for field, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(inner, hop, guards, name) for inner in value]
    return value


def _without(text: str, hop: Hop, guard: Guard, name: str) -> str:
    if isinstance(guard, Rewriting):
        return guard.rewrite(readable(text))
    text = _cleaned(text, hop, guard, "", "")
    # The name of its field can be what gives a text away: "password", "phone".
    return _cleaned(text, hop, guard, f'"{name}":"', '"') if name else text


def _cleaned(text: str, hop: Hop, guard: Guard, before: str, after: str) -> str:
    """Without what the guard sees in it when it stands between these two."""
    # In the form of a placeholder, which no filter takes for what it stands for.
    mark = f"<redacted {guard.id}>"
    for _ in range(PASSES):
        finding = guard.check(Subject(hop=hop, text=f"{before}{text}{after}"))
        shown, start = readable(text), len(readable(before))
        spans = [(max(a - start, 0), min(b - start, len(shown))) for a, b in finding.spans] if finding else []
        spans = [(a, b) for a, b in spans if a < b]
        if not spans:
            return text
        text = _cut(shown, spans, mark)
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
