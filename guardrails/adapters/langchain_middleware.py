"""LangChain agent middleware, run as it runs in an agent, on one text or one action at a time.

LangChain and LangGraph are imported where they are used: they take seconds, which task types without middleware need
not pay.
"""

import contextvars
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from domain.guards_spec import HumanReviewSpec, PiiMiddlewareSpec
from guardrails.windows import windows

# Some of its patterns take time by the square of the text's length.
WINDOW, OVERLAP = 1000, 200
_REST = re.compile(r"\S*")


class Place(NamedTuple):
    """Where the middleware saw something."""

    start: int
    end: int
    kind: str
    blocked: bool
    """Whether it would end the run."""
    instead: str
    """What it puts in the place; what it blocks is left as it is."""


class PersonalData:
    """LangChain's PIIMiddleware for one type of personal data."""

    def __init__(self, kind: str, strategy: Any) -> None:
        from langchain.agents.middleware import PIIMiddleware

        self.kind = kind
        self._middleware: Any = PIIMiddleware(kind, strategy=strategy)

    def look(self, text: str) -> list[Place]:
        """Every place, in order; none lies in another."""
        found: list[Place] = []
        for at, piece in windows(text, WINDOW, OVERLAP):
            for start, end, blocked in self._in(piece):
                cut = end == len(piece) and at + end < len(text)
                place = (at + start, _REST.match(text, at + end).end() if cut else at + end)  # type: ignore[union-attr]
                if not found or place[0] >= found[-1].end:
                    value = text[place[0] : place[1]]
                    found.append(Place(*place, self.kind, blocked, value if blocked else self._instead(value)))
        return found

    def _in(self, piece: str) -> list[tuple[int, int, bool]]:
        from langchain.agents.middleware import PIIDetectionError

        try:
            if self._after(piece) is None:
                return []
        except PIIDetectionError as error:
            return [(match["start"], match["end"], True) for match in error.matches]
        return [(match["start"], match["end"], False) for match in self._middleware.detector(piece)]

    def _instead(self, value: str) -> str:
        changed = self._after(value)
        # Seen among other text and not by itself: taken out whole.
        return f"<redacted {self.kind}>" if changed is None else changed

    def _after(self, text: str) -> str | None:
        """The text as the middleware hands it to a model; None where it leaves it alone. Raises PIIDetectionError."""
        from langchain_core.messages import HumanMessage
        from langgraph.runtime import Runtime

        update = self._middleware.before_model({"messages": [HumanMessage(text)]}, Runtime())
        return None if update is None else str(update["messages"][-1].content)


class HumanReview:
    """LangChain's HumanInTheLoopMiddleware over a call of an action."""

    def __init__(self, actions: Sequence[str], decisions: Sequence[str]) -> None:
        from langchain.agents.middleware import HumanInTheLoopMiddleware

        asked: dict[str, Any] = {name: {"allowed_decisions": list(decisions)} for name in actions}
        self._middleware: Any = HumanInTheLoopMiddleware(interrupt_on=asked)

    def asks(self, action: str, arguments: dict[str, Any]) -> tuple[str, ...]:
        """The decisions that a person may take on this call; empty where nobody is asked.

        In a context of its own: where the caller runs in a graph, this is no step of that, and its tracers see nothing.
        """
        return contextvars.Context().run(self._interrupted, action, arguments)

    def _interrupted(self, action: str, arguments: dict[str, Any]) -> tuple[str, ...]:
        from langchain_core.messages import AIMessage
        from langgraph.checkpoint.memory import InMemorySaver
        from langgraph.graph import START, StateGraph

        graph = StateGraph(self._middleware.state_schema)
        graph.add_node("review", self._middleware.after_model)
        graph.add_edge(START, "review")
        call = AIMessage(content="", tool_calls=[{"name": action, "args": arguments, "id": "call"}])
        # A saver for this call alone, so that nothing of it is kept.
        result = graph.compile(checkpointer=InMemorySaver()).invoke(
            {"messages": [call]}, {"configurable": {"thread_id": "review"}}
        )
        return tuple(
            str(decision)
            for interrupt in result.get("__interrupt__", ())
            for review in interrupt.value["review_configs"]
            for decision in review["allowed_decisions"]
        )


def personal_data(specs: Sequence[PiiMiddlewareSpec]) -> list[PersonalData]:
    """The middleware of these specs, in their order."""
    return [PersonalData(kind, spec.strategy) for spec in specs for kind in spec.types]


def human_review(spec: HumanReviewSpec) -> HumanReview:
    """The middleware of this spec."""
    return HumanReview(spec.actions, spec.decisions)
