"""The same nodes and rows on LangGraph alone."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, TypedDict

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.recording import Script, play
from storage.checkpoints import Pool

_NODES = ("intake", "plan", "dispatch", "negotiate", "guard", "approve", "execute", "consolidate", "report")


class _State(TypedDict, total=False):
    task_id: str
    position: int
    said: str


async def run_bare(engine: AsyncEngine, pool: Pool, scripts: Mapping[str, Script], at_once: int) -> float:
    """Seconds for all of them, so many at once, each slot with a graph and a saver of its own."""
    slots: asyncio.Queue[CompiledStateGraph[Any, Any, Any, Any]] = asyncio.Queue()
    for _ in range(at_once):
        slots.put_nowait(_graph(engine, pool, scripts))

    async def one(task_id: str) -> None:
        graph = await slots.get()
        try:
            config: Any = {"configurable": {"thread_id": task_id}, "recursion_limit": 50}
            await graph.ainvoke({"task_id": task_id, "position": 0}, config, durability="sync")
        finally:
            slots.put_nowait(graph)

    begin = time.perf_counter()
    await asyncio.gather(*(one(task_id) for task_id in scripts))
    return time.perf_counter() - begin


def _graph(engine: AsyncEngine, pool: Pool, scripts: Mapping[str, Script]) -> CompiledStateGraph[Any, Any, Any, Any]:
    async def node(state: _State) -> _State:
        step = scripts[state["task_id"]].steps[state["position"]]
        await play(engine, state["task_id"], step)
        return {"position": state["position"] + 1, "said": step.name}

    def following(state: _State) -> str:
        steps = scripts[state["task_id"]].steps
        return steps[state["position"]].name if state["position"] < len(steps) else END

    graph = StateGraph(_State)
    for name in _NODES:
        graph.add_node(name, node)
        graph.add_conditional_edges(name, following, [*_NODES, END])
    graph.add_edge(START, "intake")
    return graph.compile(checkpointer=AsyncPostgresSaver(pool))
