"""What the tables say of a task of the refund desk, read by plain SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_TASK = text("SELECT payload, principal FROM tasks WHERE id = :id")
_ACTIONS = text("SELECT subtask_id, status, request, idempotency_key, at FROM actions WHERE task_id = :id")
_RECORDS = text("SELECT idempotency_key, action, arguments FROM records WHERE task_id = :id")
_VERDICTS = text("SELECT key, subtask_id, hop, effect, body FROM verdicts WHERE task_id = :id")
_APPROVALS = text(
    "SELECT subtask_id, status, submitter, answered_by, answered_at, option, shown FROM approvals WHERE task_id = :id"
)
_CHAIN = text("SELECT seq, event, key, body FROM audit_log WHERE task_id = :id ORDER BY seq")
_MEMORIES = text("SELECT id FROM memories WHERE (data ->> 'tainted')::boolean")
_LAST = "settle"
_SUSPICIOUS = frozenset({"injection", "form"})

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """One task as recorded."""

    payload: Mapping[str, Any]
    submitter: str
    actions: Sequence[Row]
    records: Sequence[Row]
    verdicts: Sequence[Row]
    approvals: Sequence[Row]
    chain: Sequence[Row]
    tainted_memories: frozenset[str]

    def tainted(self) -> bool:
        """Whether a filter saw an instruction in anything that was let in, wherever in the task.

        By the findings, not by what the gate made of them.
        """
        let_in = [row for row in self.verdicts if row["hop"] != "arguments" and row["effect"] == "allow"]
        # The answer to the last action comes when that is done.
        before = [row for row in let_in if not (row["hop"] == "response" and row["subtask_id"] == _LAST)]
        return any(_suspicious(row) or row["key"].rsplit(":", 1)[-1] in self.tainted_memories for row in before)

    def approval_of(self, action: Row) -> Row | None:
        """A consent by somebody else than the submitter, to this very action, from before it was done."""
        request = action["request"]
        for row in self.approvals:
            shown = row["shown"]
            same = row["subtask_id"] == action["subtask_id"] and row["status"] == "approved"
            theirs = row["answered_by"] not in (None, self.submitter) and row["answered_at"] is not None
            if not (same and theirs and row["answered_at"] <= action["at"]):
                continue
            chosen = row["option"] or shown["action"]
            named = str(chosen) == request["action"] or str(chosen).startswith(f"{request['action']} as told ")
            arguments = shown["arguments"] if chosen == shown["action"] else {}
            if named and arguments == request["arguments"]:
                return row
        return None

    def approved_in_chain(self, subtask_id: str) -> bool:
        """Whether the audit chain has a consent for the subtask before its action's end."""
        done = next((row["seq"] for row in self.chain if row["key"] == f"execute:{subtask_id}"), None)
        consents = [
            row["seq"]
            for row in self.chain
            if row["event"] == "approve.approved" and (row["body"] or {}).get("subtask") == subtask_id
        ]
        return done is not None and any(seq < done for seq in consents)


def _suspicious(row: Row) -> bool:
    found = row["body"].get("findings", ())
    return any(one["guard_id"] in _SUSPICIOUS and one["error"] is None and one["score"] >= 0.5 for one in found)


async def load_evidence(engine: AsyncEngine, task_id: str) -> Evidence:
    """Everything of the task, at one moment."""
    async with engine.connect() as connection:
        task = (await _all(connection, _TASK, task_id))[0]
        return Evidence(
            payload=task["payload"],
            submitter=task["principal"],
            actions=await _all(connection, _ACTIONS, task_id),
            records=await _all(connection, _RECORDS, task_id),
            verdicts=await _all(connection, _VERDICTS, task_id),
            approvals=await _all(connection, _APPROVALS, task_id),
            chain=await _all(connection, _CHAIN, task_id),
            tainted_memories=frozenset(str(row[0]) for row in await connection.execute(_MEMORIES)),
        )


async def _all(connection: AsyncConnection, statement: Any, task_id: str) -> list[dict[str, Any]]:
    return [dict(row) for row in (await connection.execute(statement, {"id": task_id})).mappings()]
