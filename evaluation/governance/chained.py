"""A task's chain, and what it says of a row; what is read of a task whose rows somebody may have changed."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.approval import QUESTIONS
from domain.audit import Entry
from domain.audit_found import BEGINS, ENDS, Found, Problem
from domain.audit_spoken import statements_of
from domain.merkle import Head
from evaluation.governance.row import BROKEN, HERE, HOLDS, NO_CHAIN, OUTSIDE

Fields = dict[str, Any]
"""Some of a row's fields."""
_CLASS = re.compile(r"\w+")


class Chained:
    """A task's chain, and what it says of a row."""

    def __init__(self, found: Found, problems: list[Problem], anchored: Head | None, *, anchors: bool) -> None:
        self._found, self._anchored, self._anchors = found, anchored, anchors
        self._broken = bool(problems)
        self._at = {one.seq for one in problems}
        self._chained = bool(found.chain) and found.chain[0].event in BEGINS
        self.entries = {entry.key: entry for entry in found.chain}
        self.stated: dict[tuple[str, str], Entry] = {}
        """(kind, key of a row) -> the first entry that speaks for it."""
        for entry in found.chain:
            for kind, some in statements_of(entry).items():
                for key in some:
                    self.stated.setdefault((kind, key), entry)

    def place(self, entry: Entry | None) -> Fields:
        """Where it stands, and whether that can be believed."""
        if entry is None:
            return {"chain": OUTSIDE if self._chained else NO_CHAIN}
        chain = HOLDS if not self._broken else HERE if entry.seq in self._at else BROKEN
        anchored = None
        if self._anchors:
            anchored = self._anchored is not None and entry.seq <= self._anchored.seq
        return {
            "at": entry.at,
            "event": entry.event,
            "key": entry.key,
            "seq": entry.seq,
            "hash": entry.hash.hex(),
            "chain": chain,
            "anchored": anchored,
        }


def as_mapping(value: Any) -> Mapping[str, Any]:
    """What was written as an object; somebody may have put anything in its place since, and verifying says so."""
    return value if isinstance(value, dict) else {}


def as_texts(value: Any) -> list[str]:
    """What was written as a list of texts."""
    return [str(one) for one in value] if isinstance(value, list) else []


def approval_of(found: Found, approval_id: Any) -> Mapping[str, Any]:
    for row in found.rows.get("approvals", ()):
        if row["id"] == approval_id:
            return row
    return {}


def class_of(error: Any) -> str:
    """The kind of an error alone: what follows may quote what was sent."""
    found = _CLASS.match(str(error))
    return found[0] if found else "error"


def answer_of(found: Found, approval_id: Any, principal: Any) -> Mapping[str, Any]:
    """The row of that person's answer; empty where it is gone."""
    for row in found.rows.get("approval_answers", ()):
        if (row["approval_id"], row["principal"]) == (approval_id, principal):
            return row
    return {}


_SPOKEN = frozenset({"approve.answered", "approve.overridden"})


def end_of(found: Found, chained: Chained) -> tuple[datetime | None, str] | None:
    """When the task ended, and how; None where it has not."""
    for event in found.events.values():
        if event["event"] == ENDS:
            entry = chained.entries.get(event["key"])
            return entry.at if entry else event.get("at"), str(as_mapping(event["data"]).get("status") or "unknown")
    return None


def person_spoke(found: Found) -> bool:
    """Whether a person approved, refused or overrode something in the task; what happened is no consent."""
    told = (as_mapping(event["data"]) for event in found.events.values() if event["event"] in _SPOKEN)
    return any(approval_of(found, data.get("approval")).get("cause") not in QUESTIONS for data in told)
