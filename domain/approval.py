"""A named human's single-use answer, bound to the digest of exactly what was shown."""

from datetime import datetime
from enum import StrEnum
from typing import Any

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
DEFAULT = "default"
"""Stands for the answer where nobody gave one and the subtask's safe action is taken."""
QUESTIONS = frozenset({EFFECT_UNKNOWN, UNDO_FAILED})
"""Causes that ask what happened, not what may be done."""


class Approval(Frozen):
    """A request for a person's answer, and the answer."""

    id: str
    task_id: str
    subtask_id: str
    cause: str
    """Why a person is asked: a result kind, or the policy ids that require it."""
    shown: dict[str, Any]
    """Exactly what the person is shown."""
    digest: str
    """Over `shown`: action, arguments, policy hash, graph version, context hash."""
    role: str
    status: ApprovalStatus
    created_at: datetime
    expires_at: datetime
    option: str | None = None
    """The option the person chose; for a stalemate it is required."""
    answered_by: str | None = None
    reason: str | None = None
    answered_at: datetime | None = None
    consumed: bool = False

    @property
    def stands(self) -> bool:
        """Whether it says what is to be done: a person approved, or nobody answered and the safe action is taken."""
        return self.status is ApprovalStatus.APPROVED or self.defaulted

    @property
    def defaulted(self) -> bool:
        """Whether nobody answered in time and the subtask's safe action is taken."""
        return self.status is ApprovalStatus.EXPIRED and self.option is not None
