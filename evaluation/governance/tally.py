"""Counting, row by row."""

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from domain.approval import QUESTIONS, ApprovalStatus
from domain.audit import ROLES_CHAIN
from domain.audit_check import Checked
from domain.audit_found import Found, Problem
from evaluation.governance.chained import Chained, end_of, person_spoke
from evaluation.governance.judged import DENYING
from evaluation.governance.row import Row
from evaluation.governance.summary import Answers, Chains, Denials, PolicySet, Summary
from evaluation.governance.window import Window, bucket, buckets

NO_POLICY = "(no policy)"
"""Under which denials stand that no policy decided: nothing was permitted, or the gate failed."""
_CHAINS = ("tasks", "entries", "broken", "problems", "unchained", "erased")
_VOICE = re.compile("[:,]")
LISTED = 200
"""So many problems are listed."""


class Tally:
    """What was counted so far."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self.rows = 0
        self._kinds: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._by_people = 0
        self._verdicts: dict[str, Counter[str]] = defaultdict(Counter)
        self._denials: Counter[tuple[str, str]] = Counter()
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._people: dict[str, Counter[str]] = defaultdict(Counter)
        self._waits: list[float] = []
        self._sets: dict[tuple[str, str], tuple[datetime, datetime, int]] = {}
        self._chains: Counter[str] = Counter()
        self._problems: list[Problem] = []

    def row(self, row: Row) -> None:
        """Count a row of the report."""
        self.rows += 1
        self._kinds[row.kind] += 1
        self._chains["anchored"] += row.anchored is True
        if row.copied:
            return
        count = _COUNTS.get(row.kind)
        if count is not None:
            count(self, row)

    def task(self, found: Found, checked: Checked, chained: Chained, anchored: bool) -> None:
        """Count a task: its chain, and its end if that falls into the period."""
        of_task = found.task_id != ROLES_CHAIN
        self._chains["tasks"] += of_task
        self._chains["entries"] += len(found.chain)
        self._chains["broken"] += bool(checked.problems)
        self._chains["unchained"] += of_task and not found.chain and found.head is None and not anchored
        self._chains["erased"] += checked.erased
        self.problems(checked.problems)
        end = end_of(found, chained)
        if end is not None and self._window.covers(end[0]):
            self._ended[end[1]] += 1
            self._by_people += person_spoke(found)
        for row in found.rows.get("approvals", ()):
            self._left(row, chained)

    def _left(self, row: Mapping[str, Any], chained: Chained) -> None:
        """What was asked in the period and is open still, or was closed with its task."""
        entry = chained.stated.get(("approvals", row["id"]))
        if entry is None or row["cause"] in QUESTIONS or not self._window.covers(entry.at):
            return
        taken = f"approve:{row['id']}:taken" in chained.entries
        self._counts["left"]["open"] += row["status"] == ApprovalStatus.OPEN
        self._counts["left"]["closed"] += row["status"] == ApprovalStatus.EXPIRED and not taken

    def problems(self, problems: Iterable[Problem]) -> None:
        """Take in what does not fit."""
        for problem in problems:
            self._chains["problems"] += 1
            if len(self._problems) < LISTED:
                self._problems.append(problem)

    def verdict(self, row: Row) -> None:
        """A verdict, and the denial that it is."""
        self._verdicts[row.what][row.outcome] += 1
        if row.at is not None and row.policy_hash:
            first, last, number = self._sets.get((row.policy_hash, row.type), (row.at, row.at, 0))
            self._sets[row.policy_hash, row.type] = (min(first, row.at), max(last, row.at), number + 1)
        if row.outcome in DENYING:
            self.denial(row)

    def denial(self, row: Row) -> None:
        """A denial, by the policy that decided it and the day."""
        if row.at is not None:
            self._denials[row.policies[0] if row.policies else NO_POLICY, bucket(row.at, "day")] += 1

    def asked(self, row: Row) -> None:
        """A request for consent; what asks whether something happened is none."""
        if row.what not in QUESTIONS:
            self._counts["answers"]["asked"] += 1
            self._counts["causes"][row.what] += 1

    def answered(self, row: Row) -> None:
        """An answer, by whom and how soon."""
        if row.what in QUESTIONS:
            return
        self._people[row.by][_VOICE.split(row.outcome)[0]] += 1
        if not row.decided:
            return
        self._counts["answers"][row.decided] += 1
        if row.waited is not None:
            self._waits.append(row.waited)

    def unanswered(self, row: Row) -> None:
        """What came of a request that a role did not answer in time."""
        self._counts["answers"][row.kind.removeprefix("approval_")] += 1

    def named(self, row: Row) -> None:
        """What is counted by its name alone."""
        self._counts[row.kind][row.what] += 1

    def settled(self, row: Row) -> None:
        """How a person settled whether something happened."""
        self._counts[row.kind][row.outcome] += 1

    def summary(self, report_id: str, made_at: datetime, anchor: Mapping[str, Any] | None) -> Summary:
        """What it comes to."""
        window, counts = self._window, self._counts
        return Summary(
            report_id=report_id,
            made_at=made_at,
            since=window.since,
            until=window.until,
            task_type=window.task_type,
            rows=self.rows,
            by_kind=_sorted(self._kinds),
            ended=_sorted(self._ended),
            decided_by_people=self._by_people,
            roles=self._kinds["role"],
            verdicts={hop: _sorted(effects) for hop, effects in sorted(self._verdicts.items())},
            denials=self._denied(),
            approvals=self._answers(),
            guard_errors=_sorted(counts["guard_error"]),
            compensations=_sorted(counts["compensation"]),
            controls=_sorted(counts["control"]),
            effects_unknown=self._kinds["unknown_effect"],
            effects_settled=_sorted(counts["effect_settled"]),
            policy_sets=tuple(
                PolicySet(hash=key[0], type=key[1], first=first, last=last, verdicts=number)
                for key, (first, last, number) in sorted(self._sets.items(), key=lambda one: (one[1][0], one[0]))
            ),
            chains=self._chained(anchor),
        )

    def _denied(self) -> Denials:
        days = sorted({day for _, day in self._denials})
        first = datetime.fromisoformat(f"{days[0]}T00:00+00:00") if days else None
        size = self._window.size(first)
        if not days:
            return Denials(size=size)
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for (policy, day), number in self._denials.items():
            found[policy][bucket(datetime.fromisoformat(f"{day}T00:00+00:00"), size)] += number
        named = sorted({period for some in found.values() for period in some})
        ordered = sorted(found.items(), key=lambda one: (-one[1].total(), one[0]))
        return Denials(
            size=size,
            total=self._denials.total(),
            periods=tuple(buckets(named[0], named[-1], size)),
            by_policy={policy: dict(sorted(some.items())) for policy, some in ordered},
        )

    def _answers(self) -> Answers:
        waits = sorted(self._waits)
        people = {who: dict(sorted(some.items())) for who, some in sorted(self._people.items())}
        return Answers(
            **{name: number for name, number in self._counts["answers"].items() if name in Answers.model_fields},
            **self._counts["left"],
            by_cause=_sorted(self._counts["causes"]),
            by_person=people,
            answered_in=len(waits),
            median_seconds=statistics.median(waits) if waits else None,
            p90_seconds=waits[min(len(waits) - 1, int(0.9 * len(waits)))] if waits else None,
            longest_seconds=waits[-1] if waits else None,
        )

    def _chained(self, anchor: Mapping[str, Any] | None) -> Chains:
        return Chains(
            **{name: self._chains[name] for name in _CHAINS},
            anchor=anchor["at"] if anchor else None,
            anchor_key=anchor["key"] if anchor else None,
            anchor_root=anchor["root"] if anchor else None,
            rows_anchored=self._chains["anchored"],
            found=tuple(problem._asdict() for problem in self._problems),
        )


def _sorted(counter: Counter[str]) -> dict[str, int]:
    """The most first."""
    return dict(sorted(counter.items(), key=lambda one: (-one[1], one[0])))


_COUNTS: Mapping[str, Callable[[Tally, Row], None]] = {
    "verdict": Tally.verdict,
    "denial": Tally.denial,
    "guard_error": Tally.named,
    "approval_asked": Tally.asked,
    "approval_answered": Tally.answered,
    "approval_expired": Tally.unanswered,
    "approval_escalated": Tally.unanswered,
    "approval_defaulted": Tally.unanswered,
    "override": Tally.answered,
    "control": Tally.named,
    "compensation": Tally.named,
    "effect_settled": Tally.settled,
}
