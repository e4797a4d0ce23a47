"""Policies beside their examples: the platform's, a catalog's, each task type's own."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from catalog.load import Catalog
from domain.model import Frozen
from domain.task_type import TaskType
from guardrails import examples
from guardrails.examples import EXAMPLES, Examples
from guardrails.gate import PLATFORM, CedarGate, own_files, shared_file
from guardrails.policies import Policy

PLATFORM_SCOPE = "platform"
CATALOG_SCOPE = "catalog"


class PolicyRow(NamedTuple):
    """One policy, and how many of its examples were run."""

    id: str
    effect: str
    scope: str
    """`platform`, `catalog`, or the task type whose own it is."""
    owner: str
    matches: int
    misses: int
    file: str


class Problem(NamedTuple):
    """A policy and its examples disagree."""

    file: str
    """Of the examples."""
    policy: str
    """Empty where it is the file as a whole."""
    problem: str


class Checked(Frozen):
    """What a check found."""

    policies: tuple[PolicyRow, ...]
    problems: tuple[Problem, ...]
    hashes: dict[str, str]
    """Task type -> the hash of the policies that hold for it, as verdicts record it."""


@dataclass
class _Found:
    policies: list[PolicyRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class _Set:
    """Policies that are checked together."""

    scope: str
    examples: Path
    policies: Mapping[str, Policy]
    gates: Mapping[str, CedarGate]
    """Task type -> the gate that its examples are tried on."""
    types: frozenset[str]
    """Those that an example may name."""


def check_policies(catalog: Catalog, names: Sequence[str] = ()) -> Checked:
    """Run every example of these task types' policies, or of all types'. Raises UnknownTaskType, CatalogError."""
    kinds = [catalog.task_type(name) for name in dict.fromkeys(names or catalog.names())]
    found = _Found()
    for one in [_platform(), *_shared(catalog, kinds), *(_own(catalog, kind) for kind in kinds)]:
        _check(found, one)
    hashes = {kind.name: catalog.gate(kind.name).policy_hash for kind in kinds}
    return Checked(policies=tuple(found.policies), problems=tuple(found.problems), hashes=hashes)


def _platform() -> _Set:
    gate = examples.platform_gate()
    policies = examples.policies_of(gate, [PLATFORM])
    return _Set(PLATFORM_SCOPE, PLATFORM.parent / EXAMPLES, policies, {gate.task_type: gate}, frozenset())


def _shared(catalog: Catalog, kinds: Sequence[TaskType]) -> list[_Set]:
    file = shared_file(kinds[0])
    if not file.is_file():
        return []
    gates = {kind.name: examples.shared_gate(kind) for kind in kinds}
    policies = examples.policies_of(gates[kinds[0].name], [file])
    return [_Set(CATALOG_SCOPE, file.parent / EXAMPLES, policies, gates, frozenset(catalog.names()))]


def _own(catalog: Catalog, kind: TaskType) -> _Set:
    gate = catalog.gate(kind.name)
    policies = examples.policies_of(gate, own_files(kind))
    return _Set(kind.name, Path(kind.folder) / EXAMPLES, policies, {kind.name: gate}, frozenset({kind.name}))


def _check(found: _Found, one: _Set) -> None:
    """Every example of the set, on each of the gates that it is meant for."""
    file = str(one.examples)
    shown = examples.read_examples(one.examples) if one.examples.is_file() else {}
    if one.policies and not one.examples.is_file():
        found.problems.append(Problem(file, "", "there is no such file: each policy needs examples"))
    found.problems += [Problem(file, *lack) for lack in examples.uncovered(one.policies, shown)]
    found.problems += [Problem(file, *other) for other in _of_no_type(one, shown)]
    counts: Counter[tuple[str, str]] = Counter()
    for name, gate in one.gates.items():
        meant = {policy: _of_type(cases, name) for policy, cases in shown.items() if policy in one.policies}
        for policy, cases in meant.items():
            counts[policy, "matches"] += len(cases.matches)
            counts[policy, "misses"] += len(cases.misses)
        on = f" (on {name})" if len(one.gates) > 1 else ""
        for said in examples.run_examples(gate, meant, one.policies):
            found.problems.append(Problem(file, said.policy, said.problem + on))
    for id, held in one.policies.items():
        ran = (counts[id, "matches"], counts[id, "misses"])
        found.policies.append(PolicyRow(id, held.effect.value, one.scope, held.owner, *ran, held.file))


def _of_no_type(one: _Set, shown: Mapping[str, Examples]) -> Iterator[tuple[str, str]]:
    """Examples that would never be run: they name a task type that the policies do not hold for."""
    for policy, cases in shown.items():
        for case in (*cases.matches, *cases.misses):
            if case.task_type is not None and case.task_type not in one.types:
                yield policy, f"{case.name}: task_type {case.task_type!r}: not one that the policy holds for"


def _of_type(shown: Examples, name: str) -> Examples:
    """Those that are tried on the task type."""
    return Examples(
        matches=tuple(case for case in shown.matches if case.task_type in (None, name)),
        misses=tuple(case for case in shown.misses if case.task_type in (None, name)),
    )
