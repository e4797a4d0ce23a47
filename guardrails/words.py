"""Words that a policy compares a fact with although the fact can never be one of them.

`context.action == "aprove"` passes Cedar's own validation, since any text may be compared with any other; the condition
never holds (or, with `!=`, always), and a policy that forbids fails open.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

from domain.decision import ResultKind
from domain.guard import ABSTAIN, PROVENANCE
from domain.memory import MemoryKind
from domain.task_type import Risk, SubtaskSpec, TaskType

FIXED: Mapping[str, frozenset[str]] = {
    "risk": frozenset(get_args(Risk)),
    "result": frozenset(kind.value for kind in ResultKind),
    "source": frozenset(get_args(MemoryKind)),
    "provenance": frozenset(PROVENANCE),
}
"""Fact -> the words that it can be, whatever the task type."""

_COMPARES = ("==", "!=", "contains", "containsAny", "containsAll")
_CONTEXT = {"Var": "context"}


class Stray(NamedTuple):
    """One word that cannot be."""

    field: str
    """`action`, or `payload.<field>`."""
    word: str
    known: tuple[str, ...]
    """What the field can be."""

    def __str__(self) -> str:
        """For a message."""
        return f"context.{self.field} is one of {', '.join(self.known)}; it is compared with {self.word!r}"


def known_words(task_type: TaskType) -> dict[str, frozenset[str]]:
    """Fact, or `payload.<field>` -> the words that it can be for the task type; any text may stand in the others."""
    found: dict[str, set[str]] = {name: set() for name in ("subtask", "action", "persona", "strategy", "executor")}
    found["action"].add(ABSTAIN)
    for spec in task_type.plan.subtasks:
        found["subtask"].add(spec.id)
        found["action"] |= {action.name for action in spec.actions}
        found["persona"] |= set(spec.panel)
        found["strategy"] |= _strategies(spec)
        found["executor"] |= _executors(spec)
    for name, field in task_type.payload_schema.get("properties", {}).items():
        listed = _listed(field)
        if listed:
            found[f"payload.{name}"] = listed
    return {name: frozenset(words) for name, words in found.items()}


def _strategies(spec: SubtaskSpec) -> set[str]:
    later = spec.strategy.when_calibrated
    return {spec.strategy.name, *([later.name] if later else [])}


def _executors(spec: SubtaskSpec) -> set[str]:
    others = (spec.fallback, spec.compensate)
    return {spec.executor, *(one.executor for one in others if one is not None and one.executor is not None)}


def _listed(field: Any) -> set[str]:
    if not isinstance(field, Mapping):
        return set()
    values = [field["const"]] if "const" in field else field.get("enum", [])
    return {value for value in values if isinstance(value, str)}


def stray_words(statement: Mapping[str, Any], known: Mapping[str, frozenset[str]]) -> tuple[Stray, ...]:
    """The words that the statement, in Cedar's JSON form, compares a field of `known` with and that it can never be."""
    found = (stray for condition in statement.get("conditions", ()) for stray in _strays(condition, known))
    return tuple(sorted(set(found)))


def _strays(node: Any, known: Mapping[str, frozenset[str]]) -> Iterator[Stray]:
    if isinstance(node, list):
        for inner in node:
            yield from _strays(inner, known)
    elif isinstance(node, Mapping):
        for operator in _COMPARES:
            if isinstance(node.get(operator), Mapping):
                yield from _compared(node[operator]["left"], node[operator]["right"], known)
        if isinstance(node.get("like"), Mapping):
            yield from _unlike(node["like"], known)
        for inner in node.values():
            yield from _strays(inner, known)


def _compared(left: Any, right: Any, known: Mapping[str, frozenset[str]]) -> Iterator[Stray]:
    fields = [*_fields(left), *_fields(right)]
    if not fields or any(field not in known for field in fields):
        return
    words: frozenset[str] = frozenset().union(*(known[field] for field in fields))
    for word in (*_words(left), *_words(right)):
        if word not in words:
            yield Stray(fields[0], word, tuple(sorted(words)))


def _unlike(like: Mapping[str, Any], known: Mapping[str, frozenset[str]]) -> Iterator[Stray]:
    """A pattern that fits none of the words."""
    parts = [part["Literal"] if isinstance(part, Mapping) else None for part in like["pattern"]]
    pattern = re.compile("".join(".*" if part is None else re.escape(part) for part in parts), re.DOTALL)
    for field in _fields(like["left"]):
        words = known.get(field)
        if words is not None and not any(map(pattern.fullmatch, words)):
            yield Stray(field, "".join("*" if part is None else part for part in parts), tuple(sorted(words)))


def _fields(node: Any) -> Iterator[str]:
    """What the expression may stand for, as fields of the context."""
    for inner in _values(node):
        attribute = inner.get(".")
        if not isinstance(attribute, Mapping):
            continue
        record = attribute["left"]
        if record == _CONTEXT:
            yield str(attribute["attr"])
        elif isinstance(record, Mapping) and isinstance(outer := record.get("."), Mapping):
            yield f"{outer['attr']}.{attribute['attr']}" if outer["left"] == _CONTEXT else ""


def _words(node: Any) -> Iterator[str]:
    yield from (inner["Value"] for inner in _values(node) if isinstance(inner.get("Value"), str))


def _values(node: Any) -> Iterator[Mapping[str, Any]]:
    """The expressions of which it is one: both branches of a choice, the members of a set, or itself."""
    if not isinstance(node, Mapping):
        return
    if isinstance(choice := node.get("if-then-else"), Mapping):
        yield from (*_values(choice["then"]), *_values(choice["else"]))
    elif isinstance(node.get("Set"), list):
        for member in node["Set"]:
            yield from _values(member)
    else:
        yield node
