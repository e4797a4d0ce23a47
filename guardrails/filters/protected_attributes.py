"""Sees a protected attribute in what is said about a case.

What is protected is what the task type hides from its personas. Every hop but the input is read: there the
submitter's own payload carries these fields by its schema.
"""

import re
from collections.abc import Iterable

from domain.canonical import digest
from domain.guard import Finding, Hop, Subject
from domain.task_type import TaskType
from guardrails.families import FAMILIES
from guardrails.text import readable

# Letters alone bound a word, so that applicant_age counts; the n of a JSON text's \n is no letter before a word.
START = r"(?:(?<![^\W\d_])|(?<=\\[nrt]))"
END = r"(?![^\W\d_])"
PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
MAX_SPANS = 20


def build(task_type: TaskType) -> "ProtectedAttributes":
    """The filter over everything that any subtask of the task type hides."""
    hidden = {name for spec in task_type.plan.subtasks for name in spec.context.hide}
    return ProtectedAttributes(sorted(hidden))


class ProtectedAttributes:
    """A whole word, of any case, that names or gives away a hidden field."""

    id: str = "protected_attributes"
    version: str
    hops: frozenset[Hop] = frozenset(Hop) - {Hop.INPUT}

    def __init__(self, hidden: Iterable[str]) -> None:
        self._patterns = {name: re.compile(_pattern(name), re.IGNORECASE) for name in hidden}
        self.version = f"1+{digest({name: p.pattern for name, p in self._patterns.items()})[:8]}"

    def check(self, subject: Subject) -> Finding | None:
        """A finding of score 1 when the text names any hidden field; None otherwise."""
        text = readable(subject.text)
        spans = {name: [m.span() for m in pattern.finditer(text)] for name, pattern in self._patterns.items()}
        seen = sorted(name for name, found in spans.items() if found)
        if not seen:
            return None
        places = sorted({span for name in seen for span in spans[name]})
        return Finding(
            guard_id=self.id,
            version=self.version,
            category="protected_attribute",
            score=1.0,
            reason=f"mentions {', '.join(seen)}",
            spans=tuple(places[:MAX_SPANS]),
            evidence_hash=digest([text[start:end] for start, end in places]),
        )


def _pattern(name: str) -> str:
    """The field's name in any spelling, with the families of its words."""
    words = PARTS.findall(name) or [name]
    spelled = r"[\s_-]{0,4}".join(re.escape(word) for word in words) + "(?:s|es)?"
    family = [form for word in words for form in FAMILIES.get(word.lower(), ())]
    camel = "".join(word[:1].upper() + word[1:] for word in words)
    # applicantAge and AgeGroup: the capital bounds the word where letters touch.
    inside = rf"(?-i:(?<![A-Z]){re.escape(camel)}(?![a-z]))"
    return f"{START}(?:{'|'.join([*family, spelled])}){END}|{inside}"
