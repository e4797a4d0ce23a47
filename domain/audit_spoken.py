"""What a chain's entries speak for, and what they should speak for; the times that follow from it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from domain.audit import AGAIN, STATED, TIMES, Entry, row_key
from domain.audit_found import ANSWERED, ENDS, PUT_AWAY, Found, Problem, Row
from domain.task import END_STATES, TaskStatus

_COPIED = "fork.created"
_KNOWN_BY = frozenset({"consolidate.done", "outcome.recorded", "task.erased"})

_WITH: Mapping[str, str] = {
    "learned": "memories",
    "asked": "approvals",
    "heard": "given",
    "decided": "answers",
    "acted": "actions",
    "spans": "ends",
    "kept": "records",
}
"""A kind that came later -> the one that speaks for the same row in the same entry."""


class Said(NamedTuple):
    """A statement."""

    entry: Entry
    digest: str


class Spoken:
    """What a task's entries speak for."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self.said: dict[tuple[str, str], Said] = {}
        """By kind and the row's key."""
        for entry in found.chain:
            for kind, some in statements_of(entry).items():
                for key, digest in some.items():
                    if kind in AGAIN or (kind, key) not in self.said:
                        self.said[kind, key] = Said(entry, digest)
        self._begun = found.chain[0] if found.whole and found.chain else None
        self.ends = [entry for entry in found.chain if entry.event in (ENDS, PUT_AWAY)]
        self.timed = self._begun is not None and "submitted" in statements_of(self._begun)
        """Whether its entries have the time of their transactions, and its rows that of their entries."""

    def should(self, kind: str, row: Row) -> bool:
        """Whether an entry would have to speak for this row, for which none does. What an earlier release wrote it
        did not speak of with the kinds that came later.
        """
        if not self._found.whole:
            return False
        key = row_key(STATED[kind], row)
        if kind in _WITH:
            return self._in_entry_of(self.said.get((_WITH[kind], key)), kind)
        if kind in ("submitted", "ended"):
            return False
        rule = _RULES.get(kind)
        return rule(self, row) if rule is not None else True

    def _in_entry_of(self, said: Said | None, kind: str) -> bool:
        return said is not None and kind in statements_of(said.entry)

    def _answer(self, row: Row) -> bool:
        return row["status"] in ANSWERED or any(row[name] is not None for name in ("option", "answered_by", "reason"))

    def _action(self, row: Row) -> bool:
        """The task's end speaks for all of them."""
        return any(entry.event == ENDS for entry in self.ends)

    def _subtask(self, row: Row) -> bool:
        """Ends of older releases do not speak of subtasks and records."""
        return any(entry.event == ENDS and "ends" in statements_of(entry) for entry in self.ends)

    def _record(self, row: Row) -> bool:
        # A call that nothing tells the end of may leave its record behind the task's end.
        actions = self._found.rows_of("actions")
        doubtful = any(one["idempotency_key"] == row["idempotency_key"] and one["status"] != "done" for one in actions)
        return self._subtask(row) and not doubtful

    def _snapshot(self, row: Row) -> bool:
        """The entry that speaks for a round's proposals speaks for what the panel saw."""
        round = f"{row['subtask_id']}/{row['round']}/"
        spoke = (said for (kind, key), said in self.said.items() if kind == "proposals" and key.startswith(round))
        said = next(spoke, None)
        return self.timed if said is None or said.entry is self._begun else self._in_entry_of(said, "snapshots")

    def _plan(self, row: Row) -> bool:
        if row["plan"] is None or any(entry.event == "plan.made" for entry in self._found.chain):
            return False
        return self.timed or (self._begun is not None and self._begun.event != _COPIED)

    def problems(self) -> Iterator[Problem]:
        """What the task's row says that its entries do not, and times that are not those of their entries."""
        task_id = self._found.task_id
        if self._found.task is not None:
            told = self._status(self._found.task)
            if told is not None:
                yield Problem(task_id, self.ends[-1].seq if self.ends else None, "edited", told)
        if self.timed:
            yield from (Problem(task_id, seq, "edited", told) for seq, told in self._times())

    def _status(self, task: Row) -> str | None:
        status = task["status"]
        if not self.ends:
            ended = self._found.whole and status in END_STATES
            return f"the task's status is {status}, and no entry of its chain ends it" if ended else None
        if status not in END_STATES:
            return f"the task's status is {status}, and its chain says that it has ended"
        put_away = self.ends[-1].event == PUT_AWAY
        if put_away != (status == TaskStatus.QUARANTINED):
            return f"the task's status is {status}, and its chain ends with {self.ends[-1].event}"
        return None

    def _times(self) -> Iterator[tuple[int | None, str]]:
        for entry in self._found.chain:
            event = self._found.events.get(entry.key)
            if event is not None and event["at"] != entry.at:
                yield entry.seq, f"the time of the event {entry.key} was changed"
        for kind, column in TIMES.items():
            how = STATED[kind]
            for row in self._found.rows_of(how.table):
                key = row_key(how, row)
                said = self.said.get((kind, key))
                if said is None or (said.entry.event == _COPIED and kind != "submitted"):
                    continue
                if row[column] != said.entry.at:
                    yield said.entry.seq, f"{column} of {how.table} {key}".strip() + " was changed"
        times = {entry.at for entry in self._found.chain if entry.event in _KNOWN_BY}
        for row in self._found.rows_of("memories"):
            if row["known_at"] is not None and row["known_at"] not in times:
                yield None, f"known_at of memories {row['id']} was changed"


_RULES = {
    "answers": Spoken._answer,
    "actions": Spoken._action,
    "ends": Spoken._subtask,
    "records": Spoken._record,
    "snapshots": Spoken._snapshot,
    "plans": Spoken._plan,
}


def statements_of(entry: Entry) -> Mapping[str, Any]:
    """By kind and the row's key the digests of the rows that it speaks for."""
    told = entry.body.get("rows") if isinstance(entry.body, Mapping) else None
    # What somebody put in its place is no statement; that the entry was changed is told elsewhere.
    return {kind: some for kind, some in told.items() if isinstance(some, Mapping)} if isinstance(told, Mapping) else {}
