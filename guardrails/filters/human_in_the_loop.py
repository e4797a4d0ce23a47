"""Runs LangChain's HumanInTheLoopMiddleware as a filter: where it would interrupt, the finding asks for approval.

The platform's own approval is what answers it: an approve, edit or reject there is one here.
"""

import asyncio
from pathlib import Path

from domain.canonical import digest
from domain.errors import CatalogError
from domain.guard import Finding, Hop, Subject
from domain.guards_spec import HumanReviewSpec
from domain.task_type import TaskType
from guardrails.adapters.langchain_middleware import HumanReview, human_review

CATEGORY = "approval_required"


def build(task_type: TaskType) -> "HumanInTheLoop":
    """The filter; without such middleware it stands at no hop. Raises CatalogError for an unknown action."""
    known = {action.name for spec in task_type.plan.subtasks for action in spec.actions}
    for index, spec in enumerate(task_type.guards.middleware):
        if isinstance(spec, HumanReviewSpec):
            for place, name in enumerate(spec.actions):
                if name not in known:
                    file, path = (
                        Path(task_type.folder) / "task_type.yaml",
                        f"guards.middleware[{index}].actions[{place}]",
                    )
                    expected = f"an action of the task type ({', '.join(sorted(known))}), got {name!r}"
                    raise CatalogError(str(file), path, expected)
            return HumanInTheLoop(spec)
    return HumanInTheLoop(None)


class HumanInTheLoop:
    """Whether the middleware would put this action to a person. It looks at the action, whatever the text says."""

    id: str = "human_in_the_loop"
    time_limit: float = 10.0

    def __init__(self, spec: HumanReviewSpec | None) -> None:
        self._spec = spec
        self.hops: frozenset[Hop] = frozenset({Hop.ARGUMENTS}) if spec else frozenset()
        self.version = f"1+{digest(spec.model_dump(mode='json') if spec else None)[:8]}"
        self._review: HumanReview | None = None

    def prepare(self) -> None:
        """Load LangChain and LangGraph."""
        if self._spec is not None and self._review is None:
            self._review = human_review(self._spec)

    async def check(self, subject: Subject) -> Finding | None:
        """A finding of score 0, since asking says nothing of harm; its category is what policy looks at."""
        decisions = await asyncio.to_thread(self._asks, str(subject.facts["action"]), subject.text)
        if not decisions:
            return None
        return Finding(
            guard_id=self.id,
            version=self.version,
            category=CATEGORY,
            score=0.0,
            reason=f"middleware asks a person: {', '.join(decisions)}",
        )

    def _asks(self, action: str, text: str) -> tuple[str, ...]:
        self.prepare()
        return self._review.asks(action, {"text": text}) if self._review else ()
