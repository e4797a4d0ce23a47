"""How a task ended, without what differs from run to run: ids, fences, times."""

import json
from typing import Any

import psycopg

_PARTS = {
    "task": "SELECT status, answer, reason, escalated, summary FROM tasks WHERE id = %s",
    "subtasks": "SELECT subtask_id, status, action, reason FROM subtasks WHERE task_id = %s",
    "decisions": "SELECT subtask_id, kind, option, action, strategy, rounds, body FROM decisions WHERE task_id = %s",
    "proposals": "SELECT subtask_id, round, persona, option, confidence, struck, body FROM proposals "
    "WHERE task_id = %s",
    "verdicts": "SELECT key, hop, effect, policy_ids FROM verdicts WHERE task_id = %s",
    "approvals": "SELECT id, subtask_id, cause, status, option, answered_by, consumed FROM approvals "
    "WHERE task_id = %s",
    "approval_answers": "SELECT principal, role, answer, option, arguments FROM approval_answers WHERE task_id = %s",
    "notices": "SELECT key, what, role FROM notices WHERE task_id = %s",
    "actions": "SELECT subtask_id, idempotency_key, status, request, response, error FROM actions WHERE task_id = %s",
    "records": "SELECT idempotency_key, action, arguments FROM records WHERE task_id = %s",
    "memories": "SELECT id, kind, text, data FROM memories WHERE task_id = %s",
    # Of runs there are as many as it took.
    "events": "SELECT event, subtask_id, data FROM events WHERE task_id = %s AND event NOT LIKE 'run.%%'",
}

State = dict[str, list[Any]]
"""Part -> its rows, in an order of their own."""


def end_state(dsn: str, task_id: str) -> State:
    """What stands of the task."""
    with psycopg.connect(dsn) as connection:
        found = {part: connection.execute(query, (task_id,)).fetchall() for part, query in _PARTS.items()}
    named = {task_id: "TASK"}
    named |= {str(row[0]): f"APPROVAL-{row[1]}" for row in found["approvals"]}
    named |= {str(row[0]): f"MEMORY-{row[1]}" for row in found["memories"]}
    return {part: sorted((_plain(row, named) for row in rows), key=str) for part, rows in found.items()}


def _plain(row: Any, named: dict[str, str]) -> Any:
    text = json.dumps(row, sort_keys=True, default=str)
    for known, name in named.items():
        text = text.replace(known, name)
    return json.loads(text, object_hook=_without_attempts)


def _without_attempts(value: dict[str, Any]) -> dict[str, Any]:
    # Of attempts, as of runs, there are as many as it took.
    return {name: inner for name, inner in value.items() if name != "attempts"}


def differences(undisturbed: State, disturbed: State) -> list[str]:
    """The parts that differ, with how many rows of each stand on one side alone; and effects that are there twice."""
    told = []
    for part, rows in undisturbed.items():
        missing = [row for row in rows if row not in disturbed[part]]
        added = [row for row in disturbed[part] if row not in rows]
        if missing or added or len(rows) != len(disturbed[part]):
            told.append(f"{part}: {len(missing)} missing, {len(added)} added, {len(disturbed[part])} for {len(rows)}")
    return told
