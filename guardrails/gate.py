"""One task type's gate: its filters look, its policies decide, and whatever cannot be judged is denied."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from domain.canonical import digest
from domain.errors import CatalogError
from domain.guard import Effect, Finding, Subject, Verdict
from domain.settings import ROOT
from domain.task_type import TaskType
from guardrails.filters import FILTERS
from guardrails.looking import AnyGuard, Looker, asked, asks, failed, late, prepare, seen
from guardrails.policies import Policies, load_policies
from guardrails.redaction import redacted
from guardrails.ruling import Ruler, Ruling, denying
from guardrails.schema import SIGNALS, schema_of
from guardrails.watched import WatchedThread

PLATFORM = ROOT / "guardrails" / "platform" / "policies.cedar"
"""Holds for every task type."""

LIMIT_SECONDS = 5.0
"""For all filters over one call's subjects; policies take microseconds."""
PREPARE_SECONDS = 120.0
"""For what filters load once; a machine that is busy needs long for it."""


def policy_files(task_type: TaskType) -> list[Path]:
    """Every Cedar file that holds for the task type: the platform's, those beside all pilots, its own."""
    return [*shared_files(task_type), *own_files(task_type)]


def shared_files(task_type: TaskType, platform: Path = PLATFORM) -> list[Path]:
    """The platform's, and what holds for the whole catalog where it is there."""
    shared = shared_file(task_type)
    return [platform, *([shared] if shared.is_file() else [])]


def own_files(task_type: TaskType) -> list[Path]:
    """Those beside its `task_type.yaml`."""
    return [Path(task_type.folder) / name for name in task_type.policies]


def shared_file(task_type: TaskType) -> Path:
    """What holds for every task type of the catalog, where it is there."""
    return Path(task_type.folder).parent / "policies.cedar"


def load_gate(task_type: TaskType, files: Sequence[Path] | None = None) -> "CedarGate":
    """The gate over the task type's policies, or over these files in their place. Raises CatalogError."""
    return _load(task_type, policy_files(task_type) if files is None else files, shared_files(task_type))


def load_candidate(task_type: TaskType, own: Sequence[Path], platform: Path = PLATFORM) -> "CedarGate":
    """The gate with these files in place of the task type's own, and of the platform's. Raises CatalogError."""
    shared = shared_files(task_type, platform)
    return _load(task_type, [*shared, *own], shared)


def _load(task_type: TaskType, files: Sequence[Path], shared: Sequence[Path]) -> "CedarGate":
    policies = load_policies(files, schema_of(task_type))
    _check_policies(task_type, policies, {str(file) for file in shared})
    guards: dict[str, AnyGuard] = {name: make(task_type) for name, make in FILTERS.items()}
    return CedarGate(task_type.name, policies, guards, task_type.guards.time_limit_seconds)


def _check_policies(task_type: TaskType, policies: Policies, shared: Collection[str]) -> None:
    """`shared`: files that hold for several types."""
    known = {action.name for spec in task_type.plan.subtasks for action in spec.actions}
    for policy in policies.by_id.values():
        if policy.unknown_fields and policy.file not in shared:
            expected = f"fields that the task type has; it has no {', '.join(policy.unknown_fields)}"
            raise CatalogError(policy.file, f"policy {policy.id}", expected)
        if policy.stray_words and policy.file not in shared:
            raise CatalogError(policy.file, f"policy {policy.id}", str(policy.stray_words[0]))
        if policy.downgrade_to is not None and policy.downgrade_to not in known:
            expected = f"@downgrade_to, an action of the task type ({', '.join(sorted(known))})"
            raise CatalogError(policy.file, f"policy {policy.id}", f"{expected}; got {policy.downgrade_to!r}")
        for name in policy.redact:
            if name not in SIGNALS:
                expected = f"@redact, filters ({', '.join(sorted(SIGNALS))})"
                raise CatalogError(policy.file, f"policy {policy.id}", f"{expected}; got {name!r}")


class CedarGate:
    """Filters and parsed policies; see `domain.ports.Gate`."""

    policy_hash: str

    def __init__(
        self,
        task_type: str,
        policies: Policies,
        guards: Mapping[str, AnyGuard],
        limit_seconds: float = LIMIT_SECONDS,
    ) -> None:
        self.task_type, self.policies, self.guards = task_type, policies, dict(guards)
        self.policy_hash = policies.hash
        self._limit = limit_seconds
        self._looker, self._ruler = Looker(self.guards), Ruler(policies, task_type)
        self._asking = [guard for guard in self.guards.values() if asks(guard)]
        self._thread: WatchedThread | None = None
        self._prepared = False

    async def judge(self, subject: Subject) -> Verdict:
        """What policy says of the subject. Never raises: anything wrong is a denial that says what was wrong."""
        return (await self.judge_all([subject]))[0]

    async def judge_all(self, subjects: Sequence[Subject]) -> list[Verdict]:
        """Of each of them; the event loop stays free, and a filter that hangs holds nobody up for long."""
        if not subjects:
            return []
        await self._prepare()
        looked, answers = await asyncio.gather(self._look_beside(subjects), self._ask_all(subjects))
        return [
            self.rule(subject, seen([*found, *said]))
            for subject, found, said in zip(subjects, looked, answers, strict=True)
        ]

    async def _prepare(self) -> None:
        """Let filters load what they need before their time runs. One that cannot fails when it looks."""
        if self._prepared:
            return
        self._thread = self._thread or WatchedThread()
        with suppress(TimeoutError):
            await self._thread.run(lambda: prepare(self.guards.values()), PREPARE_SECONDS)
        self._prepared = True

    async def _look_beside(self, subjects: Sequence[Subject]) -> list[list[Finding | None]]:
        kept = [self._looker.kept(subject) for subject in subjects]
        known = [found for found in kept if found is not None]
        if len(known) == len(kept):
            return known  # nothing has to be read, so no thread is troubled
        done: list[list[Finding | None]] = [[] for _ in subjects]

        def look() -> None:
            for subject, found in zip(subjects, done, strict=True):
                self._looker.look(subject, found)

        self._thread = self._thread or WatchedThread()
        try:
            await self._thread.run(look, self._limit)
        except TimeoutError:
            # Copies: whoever hangs may still come back and add to them.
            return late(self._looker, subjects, [list(found) for found in done])
        return done

    async def _ask_all(self, subjects: Sequence[Subject]) -> list[list[Finding | None]]:
        return [
            await asyncio.gather(*(_ask(guard, subject) for guard in self._asking if subject.hop in guard.hops))
            for subject in subjects
        ]

    def is_asking(self, guard_id: str) -> bool:
        """Whether the filter of that id asks somebody else, so that it is not looked through again."""
        return any(guard.id == guard_id for guard in self._asking)

    def denying(self, verdict: Verdict) -> tuple[str, ...]:
        """The policies that a denial comes from."""
        return denying(self.policies, verdict)

    def judge_here(self, subject: Subject) -> Verdict:
        """By the filters that ask nobody, without a time limit: for examples, replays and backtests."""
        return self.rule(subject, seen(self._looker.look(subject)))

    def rule(self, subject: Subject, findings: Sequence[Finding]) -> Verdict:
        """What policy says of the subject with these findings. Never raises."""
        input_hash = ""
        try:
            waived = {"waived": subject.waived} if subject.waived else {}
            input_hash = digest({"hop": subject.hop, "text": subject.text, "facts": subject.facts, **waived})
            ruling = self._ruler.rule(subject, findings)
        except Exception as problem:  # whatever broke, nothing may pass a gate that did not decide
            ruling = Ruling(Effect.DENY, (f"the gate could not judge this ({type(problem).__name__})",))
        return Verdict(
            hop=subject.hop,
            effect=ruling.effect,
            reasons=ruling.reasons,
            policy_ids=ruling.policy_ids,
            policy_hash=self.policy_hash,
            findings=tuple(findings),
            input_hash=input_hash,
            obligations=ruling.obligations,
            overridable_by=ruling.overridable_by,
            overridden=ruling.overridden,
            downgrade_to=ruling.downgrade_to,
            redact=ruling.redact,
        )

    async def redacted(self, value: Any, subject: Subject, verdict: Verdict) -> Any:
        """The value without what the verdict wants taken out of its texts. Raises TimeoutError."""
        names = verdict.redact or tuple(self._looker.guards)
        guards = [guard for name, guard in self._looker.of(subject) if name in names]
        self._thread = self._thread or WatchedThread()
        return await self._thread.run(lambda: redacted(value, subject.hop, guards), self._limit)


async def _ask(guard: Any, subject: Subject) -> Finding | None:
    try:
        return await asyncio.wait_for(asked(guard, subject), guard.time_limit)
    except TimeoutError as problem:
        return failed(guard, problem)
