"""Policy examples: cases each policy must and must not match, since `when { false }` passes every other check."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import Field, ValidationError

from domain.errors import CatalogError
from domain.guard import Effect, Finding, Hop, Subject
from domain.model import Frozen
from domain.task_type import ActionSpec, ContextContract, PlanSpec, Sla, StrategySpec, SubtaskSpec, TaskType
from guardrails.gate import PLATFORM, CedarGate, load_gate, shared_file
from guardrails.policies import Policy
from guardrails.schema import USUAL

EXAMPLES = "policy_examples.yaml"
PERMIT_ALL = PLATFORM.parent / "permit_all.cedar"


class Example(Frozen):
    """A subject, and what the gate should say of it."""

    name: str
    hop: Hop
    facts: dict[str, Any]
    """The others of the hop are as usual: see `guardrails.schema.USUAL`."""
    text: str = ""
    scores: dict[str, float] = Field(default_factory=dict)
    """Filter, or `<filter>:<category>`, -> what it is taken to have found beside what the filters see in the text."""
    filter_fails: bool = False
    """Whether every filter breaks down over this text."""
    task_type: str | None = None
    """Beside a catalog's policies: whose subject it is; else it is tried on every task type."""
    effect: Effect
    """The verdict's effect, which other policies may make more severe."""


class Examples(Frozen):
    """The examples of one policy, at least one of each."""

    matches: tuple[Example, ...]
    misses: tuple[Example, ...]


def read_examples(file: Path) -> dict[str, Examples]:
    """Policy id -> its examples. Keys that start with `x-` hold shared YAML anchors. Raises CatalogError."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise CatalogError(str(file), "", f"a readable YAML file ({type(problem).__name__})") from problem
    if not isinstance(document, dict):
        raise CatalogError(str(file), "", "a mapping of policy ids to matches and misses")
    entries = {str(key): value for key, value in document.items() if not str(key).startswith("x-")}
    return {key: _examples(file, key, value) for key, value in entries.items()}


class Disagreement(NamedTuple):
    """A policy and its examples, or the lack of them."""

    policy: str
    problem: str

    def __str__(self) -> str:
        """For a message."""
        return f"{self.policy}: {self.problem}"


def check_examples(
    gate: CedarGate, examples: Mapping[str, Examples], files: Collection[Path] | None = None
) -> list[str]:
    """Every way in which the policies of these files and their examples disagree; empty when they agree.

    Without `files`, of every file but the platform's.
    """
    known = policies_of(gate, files)
    return [str(one) for one in sorted([*uncovered(known, examples), *run_examples(gate, examples, known)])]


def policies_of(gate: CedarGate, files: Collection[Path] | None = None) -> dict[str, Policy]:
    """The gate's policies that stand in these files, or in any but the platform's, in their order."""
    ours = {str(file) for file in files} if files is not None else None
    return {
        name: policy
        for name, policy in gate.policies.by_id.items()
        if (policy.file in ours if ours is not None else policy.file != str(PLATFORM))
    }


def uncovered(known: Collection[str], examples: Mapping[str, Examples]) -> list[Disagreement]:
    """Policies without examples of either kind, and examples without a policy."""
    found = [Disagreement(policy, "has no examples") for policy in known if policy not in examples]
    found += [Disagreement(policy, "there is no such policy") for policy in examples if policy not in known]
    for policy, shown in examples.items():
        if policy in known:
            kinds = (("matches", shown.matches), ("misses", shown.misses))
            found += [Disagreement(policy, f"{kind}: at least one") for kind, cases in kinds if not cases]
    return found


def run_examples(gate: CedarGate, examples: Mapping[str, Examples], known: Collection[str]) -> list[Disagreement]:
    """The examples of these policies that come out otherwise than they say."""
    found = []
    for policy in (name for name in examples if name in known):
        for wanted, cases in ((True, examples[policy].matches), (False, examples[policy].misses)):
            found += [
                Disagreement(policy, said) for case in cases if (said := _disagreement(gate, policy, case, wanted))
            ]
    return found


def platform_gate() -> CedarGate:
    """The platform's policies over a task type that permits everything."""
    return load_gate(_EXAMPLE, [PLATFORM, PERMIT_ALL])


def shared_gate(task_type: TaskType) -> CedarGate:
    """The platform's and the catalog's policies over the task type, without its own: everything is permitted."""
    return load_gate(task_type, [PLATFORM, shared_file(task_type), PERMIT_ALL])


def check_platform() -> list[str]:
    """Every way in which the platform's policies and their examples disagree."""
    return check_examples(platform_gate(), read_examples(PLATFORM.parent / EXAMPLES), [PLATFORM])


_EXAMPLE = TaskType(
    name="example",
    version=1,
    payload_schema={"type": "object", "properties": {}},
    answer="example",
    sla=Sla(deadline=timedelta(minutes=1)),
    plan=PlanSpec(
        subtasks=(
            SubtaskSpec(
                id="example",
                question="What is to be done?",
                panel=("example",),
                actions=(ActionSpec(name="pay"),),
                context=ContextContract(working=()),
                strategy=StrategySpec(name="plurality"),
                executor="record_decision",
            ),
        )
    ),
)


def _disagreement(gate: CedarGate, policy: str, case: Example, wanted: bool) -> str | None:
    judge = _with_failing_filters(gate) if case.filter_fails else gate
    subject = Subject(hop=case.hop, text=case.text, facts={**_usual(gate, case.hop), **case.facts})
    verdict = judge.rule(subject, [*judge.judge_here(subject).findings, *map(_given, case.scores.items())])
    got = f"got {verdict.effect} by {list(verdict.policy_ids)}: {'; '.join(verdict.reasons)}"
    # A subject that no policy matches is malformed or unpermitted, and would make every miss come true.
    if not verdict.policy_ids:
        return f"{case.name}: no policy judged it; {got}"
    if (policy in verdict.policy_ids) is not wanted:
        return f"{case.name}: should {'' if wanted else 'not '}match; {got}"
    if verdict.effect is not case.effect:
        return f"{case.name}: expected {case.effect}; {got}"
    return None


def _usual(gate: CedarGate, hop: Hop) -> dict[str, Any]:
    if hop is not Hop.PROPOSAL:
        return USUAL[hop]
    # Cedar knows a task type's personas; where an example does not care, any of them will do.
    return {"persona": min(gate.policies.schema.words["persona"]), **USUAL[hop]}


def _given(one: tuple[str, float]) -> Finding:
    name, _, category = one[0].partition(":")
    return Finding(guard_id=name, version="example", category=category or name, score=one[1], reason="given")


def _examples(file: Path, policy: str, value: object) -> Examples:
    try:
        return Examples.model_validate(value)
    except ValidationError as problem:
        first = problem.errors()[0]
        raise CatalogError(str(file), ".".join([policy, *map(str, first["loc"])]), first["msg"]) from problem


class _FailingFilter:
    """A filter that breaks down over every text."""

    version: str = "1"
    hops: frozenset[Hop] = frozenset(Hop)

    def __init__(self, guard_id: str) -> None:
        self.id = guard_id

    def check(self, subject: Subject) -> Finding | None:
        """Raise, whatever the subject."""
        raise RuntimeError(f"{self.id} fails by request")


def _with_failing_filters(gate: CedarGate) -> CedarGate:
    return CedarGate(gate.task_type, gate.policies, {name: _FailingFilter(name) for name in gate.guards})
