"""What a run hands to its nodes; never checkpointed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langgraph.graph.state import CompiledStateGraph

from orchestration.stages import Stages
from tasks.context import StageContext

Graph = CompiledStateGraph[Any, Any, Any, Any]


@dataclass(frozen=True)
class RunContext:
    """One run: its stages (the lane), its stage context, and the graph of its subtasks."""

    stages: Stages
    stage: StageContext
    subtask_graph: Graph
    grace_seconds: float = 10.0
    """How long a call in flight is awaited once its task was cancelled."""
    waits: dict[str, float] = field(default_factory=dict)
    """Subtask -> seconds until its action may be tried again."""
