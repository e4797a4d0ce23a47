"""Sees personal data by its form: e-mail and network addresses, payment cards, accounts, US SSN, telephone numbers."""

from collections import Counter

from domain.guard import Finding, Hop, Subject
from domain.task_type import TaskType
from guardrails.personal_data import KINDS, find, places
from guardrails.text import readable
from guardrails.windows import merged


def build(task_type: TaskType) -> "Pii":
    """The filter; personal data is the same for every task type."""
    return Pii()


class Pii:
    """What identifies a person, with its exact places."""

    id: str = "pii"
    version: str = "1"
    hops: frozenset[Hop] = frozenset(Hop)

    def check(self, subject: Subject) -> Finding | None:
        """A finding of the surest kind's score; its category is the kind, or `personal_data` for several."""
        hits = find(readable(subject.text))
        if not hits:
            return None
        kinds = Counter(hit.kind for hit in hits)
        counted = ", ".join(f"{kind} ({kinds[kind]})" for kind in KINDS if kind in kinds)
        return Finding(
            guard_id=self.id,
            version=self.version,
            category=hits[0].kind if len(kinds) == 1 else "personal_data",
            score=max(hit.score for hit in hits),
            reason=f"looks like {counted}",
            # All of them: what is left out would not be redacted. No hash: nine digits are found by trying them all.
            spans=tuple(merged(places(hits))),
        )
