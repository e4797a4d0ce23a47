"""Filters at work: every failure of one becomes a finding that says so, for policy to answer."""

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeGuard

from domain.guard import Finding, Subject
from domain.ports import AsyncGuard, Guard, Preparing

ERROR = "guard_error"
KEPT_FINDINGS = 4096
KEPT_CHARACTERS = 20_000
"""A longer text is looked at anew each time."""

AnyGuard = Guard | AsyncGuard


def asks(guard: AnyGuard) -> TypeGuard[AsyncGuard]:
    """Whether the filter asks somebody else."""
    return hasattr(guard, "time_limit")


def reads(guard: AnyGuard) -> TypeGuard[Guard]:
    """Whether it reads the text by itself."""
    return not asks(guard)


def prepare(guards: Iterable[AnyGuard]) -> None:
    """Have each filter load what takes long. One that cannot is asked again, and fails, when it looks."""
    for guard in guards:
        if isinstance(guard, Preparing):
            with suppress(Exception):
                guard.prepare()


class Looker:
    """The filters of one gate that read text by themselves. They depend on it alone, so a text is read once."""

    def __init__(self, guards: Mapping[str, AnyGuard]) -> None:
        self.guards: dict[str, Guard] = {name: guard for name, guard in guards.items() if reads(guard)}
        self._kept: OrderedDict[tuple[str, str, str], Finding | None] = OrderedDict()

    def look(self, subject: Subject, done: list[Finding | None] | None = None) -> list[Finding | None]:
        """What each filter of the hop says, in their order. `done` is added to as they come in."""
        found = [] if done is None else done
        for name, guard in self.of(subject):
            found.append(self._once(name, guard, subject))
        return found

    def of(self, subject: Subject) -> list[tuple[str, Guard]]:
        """The filters of the subject's hop."""
        return [(name, guard) for name, guard in self.guards.items() if subject.hop in guard.hops]

    def kept(self, subject: Subject) -> list[Finding | None] | None:
        """The same where each of them has read the text before; else None."""
        found: list[Finding | None] = []
        for name, _ in self.of(subject):
            key = (name, subject.hop.value, subject.text)
            try:
                found.append(self._kept[key])
                self._kept.move_to_end(key)
            except KeyError:
                return None  # never read, or just now taken out by the thread that reads
        return found

    def _once(self, name: str, guard: Guard, subject: Subject) -> Finding | None:
        key = (name, subject.hop.value, subject.text)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        finding = looked(guard, subject)
        if len(subject.text) <= KEPT_CHARACTERS and (finding is None or finding.error is None):
            self._kept[key] = finding
            if len(self._kept) > KEPT_FINDINGS:
                self._kept.popitem(last=False)
        return finding


def looked(guard: Guard, subject: Subject) -> Finding | None:
    """The guard's finding, timed; a guard that fails becomes a finding that says so."""
    started = time.perf_counter()
    try:
        finding = checked(guard.check(subject))
    except Exception as problem:  # a filter is never trusted to fail politely; policy decides what its failure means
        finding = failed(guard, problem)
    return timed(finding, started)


async def asked(guard: AsyncGuard, subject: Subject) -> Finding | None:
    """The same of one that asks somebody else; `guard.time_limit` is for the caller to hold it to."""
    started = time.perf_counter()
    try:
        finding = checked(await guard.check(subject))
    except Exception as problem:
        finding = failed(guard, problem)
    return timed(finding, started)


def checked(finding: Finding | None) -> Finding | None:
    """The finding as it is. Raises ValueError for a score outside [0, 1]."""
    if finding is not None and not 0.0 <= finding.score <= 1.0:
        raise ValueError(f"score {finding.score} is outside [0, 1]")
    return finding


def failed(guard: AnyGuard, problem: BaseException) -> Finding:
    """The finding that a filter gave no answer."""
    return Finding(
        guard_id=guard.id,
        version=guard.version,
        category=ERROR,
        score=0.0,
        reason="the filter gave no answer in time" if isinstance(problem, TimeoutError) else "the filter failed",
        # The message may quote the very text that is being kept out, so the kind alone is recorded.
        error=type(problem).__name__,
    )


def timed(finding: Finding | None, started: float) -> Finding | None:
    """With the time that it took."""
    if finding is None:
        return None
    return finding.model_copy(update={"latency_ms": (time.perf_counter() - started) * 1000})


def late(
    looker: Looker, subjects: Sequence[Subject], done: Sequence[list[Finding | None]]
) -> list[list[Finding | None]]:
    """What came in before the time was up; each filter that had not answered has failed."""
    return [
        [*got, *(failed(guard, TimeoutError()) for _, guard in looker.of(subject)[len(got) :])]
        for subject, got in zip(subjects, done, strict=True)
    ]


def seen(found: Iterable[Finding | None]) -> tuple[Finding, ...]:
    """Without those that saw nothing."""
    return tuple(finding for finding in found if finding is not None)
