"""Who has to answer a request, in how many voices, and how these voices decide."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from domain.canonical import digest
from domain.model import Frozen

OPERATOR = "operator"
"""The role that answers in place of a quorum."""
ROLES = ("submitter", "approver", OPERATOR, "auditor", "admin")
"""Known everywhere; task types and policies may name further ones."""
UNASSIGNED = "role not assigned"
"""Said of an answer by somebody who was let answer because nobody holds the role."""

Role = str
_ROLE = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"


class Voice(StrEnum):
    """What a person may answer."""

    APPROVED = "approved"
    REFUSED = "refused"
    OVERRIDDEN = "overridden"
    """Consent by one operator, in place of a quorum or against a policy that allows it."""


_WORDS = {"approve": Voice.APPROVED, "refuse": Voice.REFUSED, "override": Voice.OVERRIDDEN}


def voice_of(word: str) -> Voice:
    """What a word from outside amounts to. Consent has to be said in so many words: anything else refuses."""
    return _WORDS.get(word, Voice.REFUSED)


class ChainStep(Frozen):
    """The next role, and how long the one before it has."""

    role: Role = Field(pattern=_ROLE)
    after: timedelta
    """The time that the role before it is given, from when that was asked."""


class ApprovalsSpec(Frozen):
    """Who answers for a task type. How long a request stays open is `sla.approval_deadline`."""

    role: Role = Field(default="approver", pattern=_ROLE)
    """Asked first."""
    quorum: int = Field(default=1, ge=1, le=50)
    """So many equal approvals decide."""
    of: int | None = Field(default=None, ge=1, le=50)
    """So many people may answer; refused as soon as the quorum cannot be reached among them. None: as many as it takes,
    so that one refusal refuses."""
    chain: tuple[ChainStep, ...] = ()
    """Roles that the same request goes on to, one after the other."""
    on_expiry: Literal["refuse", "default"] = "refuse"
    """What comes of a request past its deadline: a refusal, or the strategy's `safe_default`."""
    strict: bool = False
    """Whether a role that nobody holds keeps everybody from answering; else anybody but the submitter may."""
    notify: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    """URL that is told of requests, in place of PARLEY_NOTIFY_URL."""

    @model_validator(mode="after")
    def _check_quorum(self) -> Self:
        if self.of is not None and self.of < self.quorum:
            raise ValueError(f"of: expected at least the quorum of {self.quorum}, got {self.of}")
        return self


class Asks(Frozen):
    """Who has to answer one request. It is part of what is shown, so an answer is bound to it."""

    role: Role = "approver"
    quorum: int = 1
    of: int = 1
    chain: tuple[ChainStep, ...] = ()
    strict: bool = False
    overrides: tuple[str, ...] = ()
    """Ids of the policies that deny, which only the role's `override` can put aside; empty for an ordinary request."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """By step of the chain."""
        return (self.role, *(step.role for step in self.chain))

    def role_at(self, step: int) -> Role:
        """The role that is asked at this step of the chain."""
        return self.roles[min(step, len(self.chain))]

    def time_at(self, step: int) -> timedelta | None:
        """How long the role of this step has before the next one is asked; None for the last."""
        return self.chain[step].after if step < len(self.chain) else None

    def shown(self) -> dict[str, Any]:
        """As plain JSON."""
        return self.model_dump(mode="json")


class Given(NamedTuple):
    """One person's answer."""

    principal: str
    voice: str
    option: str | None
    arguments: dict[str, Any] | None
    """In place of those that were shown; None: as shown."""


def choice_digest(bound: str, option: str | None, arguments: dict[str, Any] | None) -> str:
    """Over what a person consented to: the request's digest, the option chosen, the arguments edited."""
    return digest({"request": bound, "option": option, "arguments": arguments})


def decide(asks: Asks, answers: Sequence[Given]) -> Voice | None:
    """What the answers so far amount to; None while it is open.

    As many equal approvals as the quorum approve; refused where so many can no longer come together. One override
    decides. What is none of the known answers counts as a refusal.
    """
    if any(one.voice == Voice.OVERRIDDEN for one in answers):
        return Voice.OVERRIDDEN
    equal = Counter(
        choice_digest("", one.option, one.arguments) for one in answers if one.voice == Voice.APPROVED
    ).most_common(1)
    most = equal[0][1] if equal else 0
    if most >= asks.quorum:
        return Voice.APPROVED
    return Voice.REFUSED if most + asks.of - len(answers) < asks.quorum else None
