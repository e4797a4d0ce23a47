"""Runs LangChain middleware that reads text as a filter: PIIMiddleware with its strategies."""

from collections import Counter
from collections.abc import Sequence

from domain.canonical import digest
from domain.guard import Finding, Hop, Subject
from domain.guards_spec import PiiMiddlewareSpec
from domain.task_type import TaskType
from guardrails.adapters.langchain_middleware import PersonalData, Place, personal_data
from guardrails.text import readable
from guardrails.windows import merged

BLOCKED, REWRITTEN = 1.0, 0.5
"""It would end an agent's run, and it would hand on another text."""


def build(task_type: TaskType) -> "Middleware":
    """The filter over the task type's middleware; without any it stands at no hop."""
    return Middleware([spec for spec in task_type.guards.middleware if isinstance(spec, PiiMiddlewareSpec)])


class Middleware:
    """What the middleware would do to the text; several are run in their order."""

    id: str = "middleware"

    def __init__(self, specs: Sequence[PiiMiddlewareSpec]) -> None:
        self._specs = specs
        self.hops: frozenset[Hop] = frozenset(Hop) if specs else frozenset()
        self.version = f"1+{digest([spec.model_dump(mode='json') for spec in specs])[:8]}"
        self._running: Sequence[PersonalData] = ()

    def prepare(self) -> None:
        """Load LangChain."""
        self._running = self._running or personal_data(self._specs)

    def check(self, subject: Subject) -> Finding | None:
        """A finding of score 1 where one blocks, 0.5 where one rewrites."""
        self.prepare()
        text = readable(subject.text)
        places = [place for one in self._running for place in one.look(text)]
        if not places:
            return None
        blocked = any(place.blocked for place in places)
        return Finding(
            guard_id=self.id,
            version=self.version,
            category="blocked" if blocked else "rewritten",
            score=BLOCKED if blocked else REWRITTEN,
            reason=f"middleware {_told(places)}",
            spans=tuple(merged((place.start, place.end) for place in places)),
        )

    def rewrite(self, text: str) -> str:
        """As the middleware would hand it on, one after another; what one blocks is taken out."""
        self.prepare()
        for one in self._running:
            parts, last = [], 0
            for place in one.look(text):
                parts += [text[last : place.start], f"<redacted {self.id}>" if place.blocked else place.instead]
                last = place.end
            text = "".join([*parts, text[last:]])
        return text


def _told(places: Sequence[Place]) -> str:
    counted = Counter(("blocks" if place.blocked else "rewrites", place.kind) for place in places)
    return ", ".join(f"{what} {kind} ({count})" for (what, kind), count in sorted(counted.items()))
