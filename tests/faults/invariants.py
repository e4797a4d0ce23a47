"""What holds after every fault: asked of the database, in one place."""

import psycopg

INVARIANTS = {
    "each task is terminal, parked or under a live lease (or waits for its turn)": (
        "SELECT id FROM tasks WHERE ended_at IS NULL AND status <> 'parked' AND NOT due"
    ),
    "what has ended is under no lease and not due": (
        "SELECT id FROM tasks WHERE ended_at IS NOT NULL AND (due OR lease_owner IS NOT NULL)"
    ),
    "one effect a key at most, and none without an action that was sent": (
        "SELECT r.idempotency_key FROM records r LEFT JOIN actions a USING (idempotency_key) "
        "GROUP BY r.idempotency_key HAVING count(*) > 1 OR bool_or(a.status IS NULL OR a.status = 'intent')"
    ),
    "an action that is done has its effect": (
        "SELECT a.idempotency_key FROM actions a LEFT JOIN records r USING (idempotency_key) "
        "WHERE a.executor = 'record_decision' AND a.status = 'done' AND r.idempotency_key IS NULL"
    ),
    "no effect without the approval it needed": (
        "SELECT r.task_id FROM records r JOIN actions a USING (idempotency_key) "
        "JOIN approvals p ON p.task_id = a.task_id AND p.subtask_id = a.subtask_id "
        "GROUP BY r.task_id, a.subtask_id HAVING NOT bool_or(p.status = 'approved' AND p.consumed)"
    ),
    "one answer to an approval": (
        "SELECT data->>'approval' FROM events WHERE event = 'approve.answered' GROUP BY 1 HAVING count(*) > 1"
    ),
}
"""Name -> a query for what breaks it."""


def broken(dsn: str) -> dict[str, list[str]]:
    """The invariants that do not hold, each with what breaks it."""
    with psycopg.connect(dsn) as connection:
        found = {name: [str(row[0]) for row in connection.execute(query)] for name, query in INVARIANTS.items()}
    return {name: rows for name, rows in found.items() if rows}
