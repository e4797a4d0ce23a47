"""What holds after every fault: asked of the database, in one place."""

import os
from pathlib import Path

import psycopg

from control_plane.services.audit import verify
from domain.approval import QUESTIONS
from storage.engine import async_engine

TOLD = "PARLEY_FAULTS_TOLD"
"""Names the file to which every check is told, for the matrix to print."""
_QUESTIONS = ", ".join(f"'{cause}'" for cause in sorted(QUESTIONS))
SENT = "COALESCE(a.sent_at, a.at)"
INVARIANTS = {
    "each task is terminal, parked or under a live lease (or waits for its turn)": (
        "SELECT id FROM tasks WHERE ended_at IS NULL AND status <> 'parked' AND NOT due"
    ),
    "what has ended is under no lease and not due": (
        "SELECT id FROM tasks WHERE ended_at IS NOT NULL AND (due OR lease_owner IS NOT NULL)"
    ),
    "nothing is asked of a task that has ended": (
        "SELECT a.id FROM approvals a JOIN tasks t ON t.id = a.task_id "
        "WHERE a.status = 'open' AND t.ended_at IS NOT NULL"
    ),
    "one effect a key at most, and none without an action that was sent": (
        "SELECT r.idempotency_key FROM records r LEFT JOIN actions a USING (idempotency_key) "
        "GROUP BY r.idempotency_key HAVING count(*) > 1 OR bool_or(a.status IS NULL OR a.status = 'intent')"
    ),
    "an action that is done has its effect": (
        "SELECT a.idempotency_key FROM actions a LEFT JOIN records r USING (idempotency_key) "
        "WHERE a.executor = 'record_decision' AND a.status = 'done' AND r.idempotency_key IS NULL "
        "AND a.response->>'dry_run' IS NULL"
    ),
    "no effect without the approval it needed, given before it was sent": (
        f"SELECT a.idempotency_key FROM actions a JOIN approvals p USING (task_id, subtask_id) "
        f"WHERE a.status <> 'intent' AND p.cause NOT IN ({_QUESTIONS}) GROUP BY a.idempotency_key "
        f"HAVING NOT bool_or(p.status = 'approved' AND p.consumed AND p.answered_at <= {SENT})"
    ),
    "no loan above the limit without a person's consent": (
        f"SELECT a.idempotency_key FROM tasks t JOIN actions a ON a.task_id = t.id WHERE t.task_type = 'credit_review' "
        f"AND a.status <> 'intent' AND a.request->>'action' = 'approve' AND (t.payload->>'Amount')::float > 2500 "
        f"AND NOT EXISTS (SELECT FROM approvals p WHERE p.task_id = t.id AND p.status = 'approved' "
        f"AND p.answered_by <> t.principal AND p.answered_at <= {SENT})"
    ),
    "one decision on an approval, by as many equal answers as it asks, or by one who may override": (
        "SELECT p.id FROM approvals p LEFT JOIN approval_answers d ON d.approval_id = p.id "
        "AND d.principal = p.answered_by "
        "WHERE (SELECT count(*) FROM events e WHERE e.task_id = p.task_id AND e.data->>'approval' = p.id "
        "AND e.event IN ('approve.answered', 'approve.overridden')) <> (p.status IN ('approved', 'refused'))::int "
        "OR (p.status = 'approved' AND d.answer IS DISTINCT FROM 'overridden' "
        "AND (SELECT count(*) FROM approval_answers a WHERE a.approval_id = p.id "
        "AND a.answer = 'approved' AND a.choice = d.choice) "
        "< COALESCE((p.shown->'asks'->>'quorum')::int, 1))"
    ),
}
"""Name -> a query for what breaks it."""
AUDIT = "the audit verifies"


def broken(dsn: str) -> dict[str, list[str]]:
    """The invariants that do not hold, each with what breaks it."""
    with psycopg.connect(dsn) as connection:
        found = {name: [str(row[0]) for row in connection.execute(query)] for name, query in INVARIANTS.items()}
    return {name: rows for name, rows in found.items() if rows}


async def hold(dsn: str, home: Path) -> None:
    """Check all of them and the audit, against the anchors in `home` too; fails with what is broken."""
    found = broken(dsn)
    engine = async_engine(dsn, size=1)
    verified = await verify(engine, home, None, None)
    await engine.dispose()
    if verified.problems:
        found[AUDIT] = [str(problem) for problem in verified.problems]
    if path := os.environ.get(TOLD):
        with Path(path).open("a") as told:
            told.writelines(f"{'broken' if name in found else 'holds'} {name}\n" for name in (*INVARIANTS, AUDIT))
            told.write(f"tasks {verified.tasks}\n")
    if found:
        raise AssertionError(found)
