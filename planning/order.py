"""A topological order that depends on the declaration alone."""

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter


def in_order(depends_on: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Ids after all they depend on; among those free at the same time, as declared. Raises graphlib.CycleError."""
    declared = {name: position for position, name in enumerate(depends_on)}
    sorter = TopologicalSorter(depends_on)
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        free = sorted(sorter.get_ready(), key=lambda name: (declared.get(name, len(declared)), name))
        order.extend(free)
        sorter.done(*free)
    return tuple(order)
