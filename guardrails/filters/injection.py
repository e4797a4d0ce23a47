"""Sees text that gives instructions to the model: prompt injection and jailbreaks, by rules and a trained model.

It tells no places: what is left after cutting a matched word out of an attack is still an attack.
"""

from functools import lru_cache

from domain.canonical import digest
from domain.errors import ModelRefused
from domain.guard import Finding, Hop, Subject
from domain.task_type import TaskType
from guardrails.injection.model import AT_FIVE_PERCENT, THRESHOLD, Scored, shipped
from guardrails.injection.rules import HINTS_OF_BENIGN, WEAK
from guardrails.text import readable

REPORTED = AT_FIVE_PERCENT
"""Below it there is no finding; policy cannot ask for less."""
KEPT = 2048
KEPT_CHARACTERS = 4000


def build(task_type: TaskType) -> "Injection":
    """The filter; instructions to a model are the same for every task type."""
    return Injection()


class Injection:
    """How much the text reads like an injection, in [0, 1]; the shipped threshold is 0.5."""

    id: str = "injection"
    hops: frozenset[Hop] = frozenset({Hop.INPUT, Hop.RETRIEVED, Hop.PROPOSAL, Hop.RESPONSE})

    version: str
    """Names the weights: a finding can be traced to them."""

    def __init__(self) -> None:
        try:
            self.version = f"1+{shipped().version}"
        except ModelRefused:
            # The filter then fails at each text, and policy says what that means.
            self.version = "1+refused"

    def prepare(self) -> None:
        """Load the model. Raises ModelRefused."""
        shipped()

    def check(self, subject: Subject) -> Finding | None:
        """A finding with the score, from REPORTED on. Raises ModelRefused where the model was changed."""
        scored = score(subject.text)
        if scored.score < REPORTED:
            return None
        named = sorted(scored.matched - HINTS_OF_BENIGN - WEAK)
        says = f"reads like {', '.join(named)}" if named else "its wording is like that of injections"
        return Finding(
            guard_id=self.id,
            version=self.version,
            category="injection" if scored.score >= THRESHOLD else "possible_injection",
            score=scored.score,
            reason=says,
            evidence_hash=digest(readable(subject.text)),
        )


def score(text: str) -> Scored:
    """The model's score of a text. Raises ModelRefused."""
    return _kept(text) if len(text) <= KEPT_CHARACTERS else shipped().score(text)


@lru_cache(maxsize=KEPT)
def _kept(text: str) -> Scored:
    return shipped().score(text)
