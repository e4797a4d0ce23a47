"""A Merkle tree over the heads of all audit chains (leaves and nodes are hashed apart, as in RFC 6962)."""

import hashlib
from collections.abc import Sequence
from struct import pack
from typing import NamedTuple


class Head(NamedTuple):
    """Where a task's chain ends."""

    task_id: str
    seq: int
    hash: bytes


Proof = tuple[tuple[str, bytes], ...]
"""From a leaf up to the root: on which side the neighbour stands (left or right), and its hash."""


def leaf(head: Head) -> bytes:
    """The leaf's hash."""
    name = head.task_id.encode()
    return hashlib.sha256(b"\x00" + pack(">i", len(name)) + name + pack(">q", head.seq) + head.hash).digest()


def root(heads: Sequence[Head]) -> bytes:
    """The root over the heads, which stand in the order of their tasks' ids."""
    level = [leaf(head) for head in heads]
    while len(level) > 1:
        level = _above(level)
    return level[0] if level else hashlib.sha256(b"").digest()


def proof(heads: Sequence[Head], place: int) -> Proof:
    """That the head at this place is below the root."""
    level, steps = [leaf(head) for head in heads], []
    while len(level) > 1:
        neighbour = place ^ 1
        if neighbour < len(level):
            steps.append(("left" if neighbour < place else "right", level[neighbour]))
        level, place = _above(level), place // 2
    return tuple(steps)


def proven(head: Head, steps: Proof) -> bytes:
    """The root that the proof leads to."""
    found = leaf(head)
    for side, neighbour in steps:
        found = _node(neighbour, found) if side == "left" else _node(found, neighbour)
    return found


def _above(level: Sequence[bytes]) -> list[bytes]:
    # One without a neighbour moves up as it is.
    pairs = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return [*pairs, level[-1]] if len(level) % 2 else pairs


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
