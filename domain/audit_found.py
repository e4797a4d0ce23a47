"""What is checked: a task as it is found, and what does not fit."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from domain.audit import ROLES_CHAIN, Entry
from domain.merkle import Head

BEGINS = frozenset({"task.submitted", "fork.created"})
"""First events of a chain that speaks for its whole task; older tasks have chains that begin midway, or none."""
ENDS = "report.done"
PUT_AWAY = "run.quarantined"
ANSWERED = frozenset({"approved", "refused"})

Row = Mapping[str, Any]


class Problem(NamedTuple):
    """Something that does not fit."""

    task_id: str
    seq: int | None
    """The entry at which it was found."""
    kind: str
    """edited, missing, reordered, outside (of the chain), head, cut (against an anchor), anchor."""
    detail: str


class Found(NamedTuple):
    """A task as it is found, in a database or in an evidence file."""

    task_id: str
    chain: Sequence[Entry]
    head: Head | None
    events: Mapping[str, Row]
    """By key."""
    rows: Mapping[str, Sequence[Row]]
    """By table, but for the task's own."""
    task: Row | None

    @property
    def whole(self) -> bool:
        """Whether its chain speaks for all of it."""
        return self.task_id == ROLES_CHAIN or (bool(self.chain) and self.chain[0].event in BEGINS)

    def rows_of(self, table: str) -> Sequence[Row]:
        """The rows of the table, which may be that of the tasks."""
        if table == "tasks":
            return () if self.task is None else (self.task,)
        return self.rows.get(table, ())
