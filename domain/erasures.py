"""What the erasures of a task say that they left: with it a row can be checked that no longer holds what was stated."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from domain.audit import Entry, hash_of

EVENT = "task.erased"
"""The entry that names what was blanked."""
NAMED = "erased"
"""Where in the entry's body: table -> row -> column -> [hash of what stood there, hash of what was left]."""

_HASH = re.compile(r"[0-9a-f]{64}")

Named = Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]


class Left(NamedTuple):
    """What one erasure says of one place."""

    seq: int
    """Of its entry."""
    was: str
    left: str


class Erasures:
    """The erasures that a task's chain tells of. A mark counts where one of them left exactly this."""

    def __init__(self, chain: Iterable[Entry] = ()) -> None:
        self._places: dict[tuple[str, str, str], list[Left]] = defaultdict(list)
        for entry in chain:
            if entry.event == EVENT:
                self.add(entry.seq, (entry.body or {}).get(NAMED))

    def add(self, seq: int, named: Any) -> None:
        """Take in what one entry names."""
        for place, was, left in _named(named):
            self._places[place].append(Left(seq, was, left))

    def hash_of(self, table: str, key: str, column: str, value: Any, since: int = 0) -> str:
        """The hash of what stood there when the entry `since` spoke for it; of the value itself where no erasure came
        behind that, or something else stands there now than it left.
        """
        now = hash_of(value)
        steps = [step for step in self._places.get((table, key, column), ()) if step.seq > since]
        follow = all(later.was == earlier.left for earlier, later in pairwise(steps))
        return steps[0].was if steps and follow and steps[-1].left == now else now

    def left(self, table: str, key: str, column: str, value: Any) -> bool:
        """Whether this is what an erasure left there."""
        steps = self._places.get((table, key, column))
        return steps is not None and steps[-1].left == hash_of(value)


def _named(named: Any) -> Iterator[tuple[tuple[str, str, str], str, str]]:
    """Each place with both hashes. What does not have this form says nothing."""
    for table, rows in _items(named):
        for key, columns in _items(rows):
            for column, pair in _items(columns):
                if isinstance(pair, list) and len(pair) == 2 and all(_is_hash(one) for one in pair):
                    yield (table, key, column), *pair


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, Mapping) else ()


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None
