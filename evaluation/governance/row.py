"""One row of the governance report: something that happened, and where the audit chain says so."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

KINDS = {
    "verdict": "what policy said at a hop",
    "denial": "a denial that no verdict of deny or halt stands for",
    "guard_error": "a filter, a policy or the gate itself failed",
    "approval_asked": "a person was asked",
    "approval_answered": "a person approved or refused; of several, each is a row",
    "approval_expired": "nobody answered in time; the subtask is denied",
    "approval_escalated": "nobody answered in time; the next role is asked",
    "approval_defaulted": "nobody answered in time; the safe action is taken",
    "override": "a person set a verdict aside, by name and with a reason",
    "role": "a role was given to a person or taken away",
    "control": "a task was cancelled, paused, resumed or quarantined",
    "compensation": "what a task did was undone, or could not be",
    "unknown_effect": "an action of which nothing tells whether it happened",
    "effect_settled": "whether it happened, as a person or the lack of an answer settled it",
    "erasure": "a person's data was taken out",
}
"""Every kind of row, and what it says."""

HOLDS, HERE, BROKEN, OUTSIDE, NO_CHAIN = "holds", "broken here", "broken", "outside", "no chain"
CHAIN_STATES = {
    HOLDS: "the task's whole chain verifies",
    HERE: "verifying finds a change at this very entry",
    BROKEN: "the task's chain does not verify, at another entry",
    OUTSIDE: "no entry of the chain speaks for this row",
    NO_CHAIN: "the task is from before there were chains",
}
"""What the report says of a row's chain."""

GONE = "gone"
"""Outcome of a verdict of which the chain speaks and whose row is not there."""
ERASED = "erased"


class Row(NamedTuple):
    """Something that happened."""

    kind: str
    """One of KINDS."""
    at: datetime | None
    """By the chain; of a row outside of it, as the row itself says."""
    task: str
    """The task's id, or the name of the chain of roles."""
    type: str
    """The task type; empty where the task's row is gone."""
    subtask: str = ""
    what: str = ""
    """The hop, the cause of a question, the filter that failed, what was controlled."""
    outcome: str = ""
    """The effect of a verdict, the answer to a question, how it ended."""
    decided: str = ""
    """What the request was decided as, by this answer; empty where it was not the last one needed."""
    policies: tuple[str, ...] = ()
    """All that matched; the first decided."""
    by: str = ""
    """The person."""
    role: str = ""
    reason: str = ""
    """A person's or a policy's own words; never the payload's."""
    waited: float | None = None
    """Seconds from the question to the answer."""
    ref: str = ""
    """The verdict's key, or the approval's id."""
    policy_hash: str = ""
    event: str = ""
    key: str = ""
    """Of the event, by which `parley events` shows it."""
    seq: int | None = None
    """The entry's place in the task's chain."""
    hash: str = ""
    """The entry's hash."""
    chain: str = NO_CHAIN
    """One of CHAIN_STATES."""
    anchored: bool | None = None
    """Whether the newest anchor holds the entry; None where there is no anchor."""
    copied: bool = False
    """Taken over by a fork: it happened in the task that was forked, and is not counted again."""

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        at = None if self.at is None else self.at.astimezone(UTC).isoformat()
        return {**self._asdict(), "at": at, "policies": list(self.policies)}
