"""The kill points around nodes and checkpoints; where nothing watches them, both are handed back as they are."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from domain import faults

Node = Callable[..., Awaitable[Any]]


def at_node(name: str, node: Node) -> Node:
    """The node between its `before` and its `after`."""
    if not faults.watched():
        return node

    @wraps(node)
    async def run(*arguments: Any, **named: Any) -> Any:
        faults.NODE.set(name)
        faults.reach(f"{name}:before")
        result = await node(*arguments, **named)
        faults.reach(f"{name}:after")
        return result

    return run


def at_checkpoint(saver: BaseCheckpointSaver[str]) -> BaseCheckpointSaver[str]:
    """The saver with a point on either side of writing a checkpoint."""
    if not faults.watched():
        return saver
    write = saver.aput

    @wraps(write)
    async def aput(*arguments: Any, **named: Any) -> Any:
        faults.reach("checkpoint:before")
        result = await write(*arguments, **named)
        faults.reach("checkpoint:after")
        return result

    saver.aput = aput  # type: ignore[method-assign]
    return saver
