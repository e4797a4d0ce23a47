"""The two graphs: wiring only."""

from dataclasses import dataclass

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from orchestration import nodes, routes
from orchestration.dispatch import dispatch
from orchestration.kill_points import at_checkpoint, at_node
from orchestration.run_context import Graph, RunContext
from orchestration.state import SubtaskState, TaskState


@dataclass(frozen=True)
class Graphs:
    """The compiled pair."""

    task: Graph
    subtask: Graph


def build_graphs(task_saver: BaseCheckpointSaver[str], subtask_saver: BaseCheckpointSaver[str]) -> Graphs:
    """Compile both, each on a saver of its own."""
    return Graphs(task=_task_graph(task_saver), subtask=_subtask_graph(subtask_saver))


def _task_graph(saver: BaseCheckpointSaver[str]) -> Graph:
    graph = StateGraph(TaskState, context_schema=RunContext)
    for name in ("intake", "plan", "wait", "compensate", "consolidate", "report"):
        graph.add_node(name, at_node(name, getattr(nodes, name)))
    graph.add_node("dispatch", at_node("dispatch", dispatch))
    graph.add_edge(START, "intake")
    graph.add_conditional_edges("intake", routes.after_intake, ["plan", "report"])
    graph.add_edge("plan", "dispatch")
    graph.add_conditional_edges("dispatch", routes.after_dispatch, ["wait", "consolidate", "compensate"])
    graph.add_conditional_edges("wait", routes.after_wait, ["dispatch", "compensate"])
    graph.add_conditional_edges("compensate", routes.after_compensate, ["wait", "consolidate"])
    graph.add_edge("consolidate", "report")
    graph.add_edge("report", END)
    return graph.compile(checkpointer=at_checkpoint(saver))


def _subtask_graph(saver: BaseCheckpointSaver[str]) -> Graph:
    graph = StateGraph(SubtaskState, context_schema=RunContext)
    for name in ("negotiate", "guard", "approve", "answer", "execute"):
        graph.add_node(name, at_node(name, getattr(nodes, name)))
    graph.add_edge(START, "negotiate")
    graph.add_conditional_edges(
        "negotiate",
        routes.after_negotiate,
        {"negotiate": "negotiate", "guard": "guard", "approve": "approve", "end": END},
    )
    graph.add_conditional_edges("guard", routes.after_guard, {"execute": "execute", "approve": "approve", "end": END})
    graph.add_edge("approve", "answer")
    graph.add_conditional_edges("answer", routes.after_answer, {"guard": "guard", "answer": "answer", "end": END})
    graph.add_conditional_edges("execute", routes.after_execute, {"answer": "answer", "end": END})
    return graph.compile(checkpointer=at_checkpoint(saver))
