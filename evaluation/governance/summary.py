"""What a governance report says on top: counts, denials by policy and period, approval times, the chains."""

from datetime import datetime
from typing import Any

from pydantic import Field

from domain.model import Frozen


class Answers(Frozen):
    """What was asked of people, and what came of it."""

    asked: int = 0
    """Requests for consent."""
    approved: int = 0
    """Requests that people decided, whatever number of answers that took."""
    refused: int = 0
    overridden: int = 0
    expired: int = 0
    escalated: int = 0
    defaulted: int = 0
    open: int = 0
    """Of those asked in the period, at the time of the report."""
    closed: int = 0
    """Of those asked in the period: closed unanswered, because their task ended otherwise."""
    by_cause: dict[str, int] = Field(default_factory=dict)
    by_person: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Who answered what, how often: of several answers to one request each counts."""
    answered_in: int = 0
    """Decisions of which it is known how long they took."""
    median_seconds: float | None = None
    p90_seconds: float | None = None
    longest_seconds: float | None = None


class Denials(Frozen):
    """Denials by policy and period."""

    size: str
    """day, week or month."""
    total: int = 0
    periods: tuple[str, ...] = ()
    """Each named by its first day, or its month, in UTC."""
    by_policy: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Policy -> period -> denials that it decided; the most denials first."""


class PolicySet(Frozen):
    """The policies in force, by their hash."""

    hash: str
    type: str
    first: datetime
    last: datetime
    verdicts: int


class Chains(Frozen):
    """Whether the chains that the rows stand in verify."""

    tasks: int = 0
    entries: int = 0
    broken: int = 0
    """Tasks whose chain does not verify."""
    problems: int = 0
    unchained: int = 0
    """Tasks from before there were chains."""
    erased: int = 0
    """Bodies and rows that an erasure took, their hashes standing."""
    anchor: str | None = None
    """When the newest anchor was made; None where there is none."""
    anchor_key: str | None = None
    anchor_root: str | None = None
    rows_anchored: int = 0
    """Rows of the report whose entry the newest anchor holds."""
    found: tuple[dict[str, Any], ...] = ()
    """The first problems: task, entry, kind, what."""

    @property
    def hold(self) -> bool:
        """Whether nothing is wrong."""
        return self.problems == 0


class Summary(Frozen):
    """The whole of it."""

    report_id: str
    made_at: datetime
    since: datetime | None
    until: datetime
    task_type: str | None
    rows: int = 0
    by_kind: dict[str, int] = Field(default_factory=dict)
    ended: dict[str, int] = Field(default_factory=dict)
    """Tasks that ended in the period, by end state."""
    decided_by_people: int = 0
    """Of those: a person approved, refused or overrode something in them."""
    roles: int = 0
    """Roles that were given or taken away."""
    verdicts: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Hop -> effect -> verdicts."""
    denials: Denials
    approvals: Answers
    guard_errors: dict[str, int] = Field(default_factory=dict)
    compensations: dict[str, int] = Field(default_factory=dict)
    controls: dict[str, int] = Field(default_factory=dict)
    effects_unknown: int = 0
    effects_settled: dict[str, int] = Field(default_factory=dict)
    policy_sets: tuple[PolicySet, ...] = ()
    chains: Chains

    @property
    def halts(self) -> int:
        """Verdicts of halt."""
        return sum(effects.get("halt", 0) for effects in self.verdicts.values())

    @property
    def ended_in_all(self) -> int:
        """Tasks that ended in the period."""
        return sum(self.ended.values())
