"""A named human's single-use answer, bound to the digest of exactly what was shown."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.asking import Asks, Voice, choice_digest
from domain.model import Frozen


class ApprovalStatus(StrEnum):
    """Where an approval stands."""

    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"


EFFECT_UNKNOWN = "effect_unknown"
"""Cause of a question: an action was sent, and nothing tells whether it happened."""
UNDO_FAILED = "undo_failed"
"""Cause of a question: what was done could not be undone."""
DONE, NOT_DONE = "done", "not_done"
"""The two answers to such a question."""
DRY_RUN = "nothing is done, whatever the answer"
"""Said with a request of a task that only tries."""
DEFAULT = "default"
"""Stands for the answer where nobody gave one and the subtask's safe action is taken."""
QUESTIONS = frozenset({EFFECT_UNKNOWN, UNDO_FAILED})
"""Causes that ask what happened, not what may be done."""


class Approval(Frozen):
    """A request for people's answers, and what they decided."""

    id: str
    task_id: str
    subtask_id: str
    cause: str
    """Why a person is asked: a result kind, or the policy ids that require it."""
    shown: dict[str, Any]
    """Exactly what the person is shown."""
    digest: str
    """Over `shown`: action, arguments, who is asked, policy hash, graph version, context hash."""
    role: str
    """Asked first."""
    submitter: str
    status: ApprovalStatus
    created_at: datetime
    expires_at: datetime
    step: int = 0
    """Of the chain: which role is asked now."""
    next_at: datetime | None = None
    """When the next role of the chain is asked."""
    option: str | None = None
    """The option the person chose; for a stalemate it is required."""
    answered_by: str | None = None
    """Whose answer decided."""
    reason: str | None = None
    answered_at: datetime | None = None
    consumed: bool = False
    voice: str | None = None
    """What that person answered; None where nobody decided."""
    arguments: dict[str, Any] | None = None
    """Edited by the people who approved; None: as shown."""
    choice: str | None = None
    """Digest of what they consented to."""

    @property
    def asks(self) -> Asks:
        """Who has to answer."""
        return Asks.model_validate(self.shown.get("asks") or {"role": self.role})

    @property
    def stands(self) -> bool:
        """Whether it says what is to be done: people approved, or nobody answered and the safe action is taken."""
        return (self.status is ApprovalStatus.APPROVED and self._is_chosen) or self.defaulted

    @property
    def _is_chosen(self) -> bool:
        """Whether the option and the arguments are those that were consented to."""
        return self.choice is None or self.choice == choice_digest(self.digest, self.option, self.arguments)

    @property
    def defaulted(self) -> bool:
        """Whether nobody answered in time and the subtask's safe action is taken."""
        return self.status is ApprovalStatus.EXPIRED and self.option is not None

    @property
    def overrides(self) -> tuple[str, ...]:
        """Ids of the policies that an operator put aside; empty where nobody did."""
        return self.asks.overrides if self.stands and self.voice == Voice.OVERRIDDEN else ()
