"""The report as one page for people: the summary on top, then what has to be looked at one by one."""

import heapq
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.printable import one_line
from evaluation import words
from evaluation.governance.judged import DENYING
from evaluation.governance.row import CHAIN_STATES, HOLDS, Row
from evaluation.governance.summary import Summary

_TEMPLATES = Path(__file__).parent.parent / "templates"
SHOWN = 200
"""So many rows of a list are shown, the newest; the files hold them all."""
MATRIX = 10
"""Up to so many periods stand as columns; more are drawn as bars alone."""
_LONGEST = 600
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


class Section(NamedTuple):
    """A list of the page."""

    title: str
    says: str
    empty: str


SECTIONS = {
    "override": Section("Overrides", "Set aside by a person, by name and with a reason.", "Nothing was overridden."),
    "halt": Section("Halts", "Verdicts that stopped a whole task.", "Nothing was halted."),
    "denial": Section("Denials", "What was refused, and the policy that decided it.", "Nothing was denied."),
    "unproven": Section(
        "Rows whose chain does not verify", "Rely on none before the cause is known.", "None: each chain verifies."
    ),
    "answer": Section("Answers of people", "Who answered what, and how soon.", "Nobody answered anything."),
    "unanswered": Section("Unanswered in time", "What came of it.", "Nothing was left unanswered."),
    "guard_error": Section("Guards that failed", "Policy says what follows from it.", "No guard failed."),
    "effect": Section(
        "Unknown effects", "Actions of which nothing tells whether they happened, and how that was settled.", "None."
    ),
    "compensation": Section("Compensations", "What was undone, or could not be.", "Nothing had to be undone."),
    "role": Section("Roles", "Given and taken away; their chain is one of its own.", "No role was changed."),
    "control": Section("Cancelled, paused, resumed, quarantined", "By whom and why.", "None."),
    "erasure": Section("Erasures", "Tasks that a person's data was taken out of.", "None."),
}  # fmt: skip
"""The lists, in their order on the page."""

_BY_KIND = {
    "override": "override",
    "denial": "denial",
    "approval_answered": "answer",
    "approval_expired": "unanswered",
    "approval_escalated": "unanswered",
    "approval_defaulted": "unanswered",
    "guard_error": "guard_error",
    "unknown_effect": "effect",
    "effect_settled": "effect",
    "compensation": "compensation",
    "role": "role",
    "control": "control",
    "erasure": "erasure",
}


class _Newest:
    """The newest rows of a list."""

    def __init__(self) -> None:
        self._kept: list[tuple[datetime, int, Row]] = []
        self.total = 0

    def add(self, row: Row) -> None:
        self.total += 1
        # What has no time has to be looked at first of all.
        item = (row.at or datetime.max.replace(tzinfo=UTC), self.total, row)
        if len(self._kept) < SHOWN:
            heapq.heappush(self._kept, item)
        else:
            heapq.heappushpop(self._kept, item)

    def rows(self) -> list[Row]:
        return [row for _, _, row in sorted(self._kept, reverse=True)]


class Page:
    """One HTML page that loads nothing from elsewhere."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._lists: defaultdict[str, _Newest] = defaultdict(_Newest)

    def take(self, row: Row) -> None:
        """Keep what is listed one by one."""
        if row.chain != HOLDS:
            self._lists["unproven"].add(row)
        if row.copied:
            return
        if row.kind == "verdict" and row.outcome in DENYING:
            self._lists["denial"].add(row)
            if row.outcome == "halt":
                self._lists["halt"].add(row)
        elif row.kind in _BY_KIND:
            self._lists[_BY_KIND[row.kind]].add(row)

    def finish(self, summary: Summary) -> None:
        """Write the page."""
        values: dict[str, Any] = {
            "summary": summary,
            "denied": _Denied.of(summary),
            "sections": [(name, section, self._lists[name]) for name, section in SECTIONS.items()],
            "shown": SHOWN,
            "states": CHAIN_STATES,
        }
        self._file.write(environment().get_template("governance.html.j2").render(values))


class _Denied(NamedTuple):
    """Denials as they are drawn."""

    periods: list[str]
    """Columns; none where there are too many."""
    rows: list[tuple[str, int, list[int], list[tuple[float, float, float, float, str]]]]
    """Policy, total, denials by period, bars (x, y, width, height, words)."""

    @classmethod
    def of(cls, summary: Summary) -> "_Denied":
        periods = list(summary.denials.periods)
        most = max((max(some.values()) for some in summary.denials.by_policy.values()), default=1)
        rows = []
        for policy, some in summary.denials.by_policy.items():
            counted = [some.get(period, 0) for period in periods]
            rows.append((policy, sum(counted), counted, _bars(periods, counted, most)))
        return cls(periods if len(periods) <= MATRIX else [], rows)


BAR_WIDTH, BAR_HEIGHT = 160.0, 26.0


def _bars(periods: list[str], counted: list[int], most: int) -> list[tuple[float, float, float, float, str]]:
    step = BAR_WIDTH / len(periods)
    found = []
    for at, (period, number) in enumerate(zip(periods, counted, strict=True)):
        if number:
            height = max(2.0, BAR_HEIGHT * number / most)
            width = max(0.6, min(step * 0.8, 14.0))
            found.append((at * step, BAR_HEIGHT - height, width, height, f"{period}: {number}"))
    return found


def as_markdown(summary: Summary, sha256: Mapping[str, str]) -> str:
    """The counts alone: nobody's name and nobody's words."""
    return environment().get_template("governance.md.j2").render(summary=summary, sha256=sha256)


def environment() -> Environment:
    """Templates whose values are escaped, in one line and cut where they are too long."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=words.number, seconds=words.seconds, percent=words.percent, line=line, moment=moment, cell=words.cell
    )
    return made


def line(value: object) -> str:
    """One line of text that turns no direction and obeys no control character."""
    told = one_line(str(value))
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]} …"


def moment(at: datetime | None) -> str:
    """A time in UTC."""
    return "–" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
