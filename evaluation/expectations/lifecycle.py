"""The rules of a task's life, as SQL that selects the rows that break them. `t` is the tasks of the period."""

from domain.model import Frozen
from domain.task import END_STATES

_ENDED = ", ".join(f"'{status}'" for status in sorted(END_STATES))
_HAPPENED = (
    "(a.status = 'done' OR a.status = 'unknown' AND EXISTS (SELECT FROM approvals p WHERE p.task_id = a.task_id"
    " AND p.subtask_id = a.subtask_id AND p.cause = 'effect_unknown' AND p.option = 'done'))"
)


class Rule(Frozen):
    """One rule: `query` selects the ids of the tasks that break it, once for each breach."""

    id: str
    says: str
    query: str


RULES: tuple[Rule, ...] = (
    Rule(
        id="ended_has_time",
        says="A task that ended says when.",
        query=f"SELECT t.id FROM t WHERE t.status IN ({_ENDED}) AND t.ended_at IS NULL",
    ),
    Rule(
        id="open_has_no_end",
        says="A task that has not ended has no end time.",
        query=f"SELECT t.id FROM t WHERE t.status NOT IN ({_ENDED}) AND t.ended_at IS NOT NULL",
    ),
    Rule(
        id="times_in_order",
        says="A task ends after it was created, and was not parked for longer than it lived.",
        query="SELECT t.id FROM t WHERE t.ended_at < t.created_at"
        " OR extract(epoch FROM t.ended_at - t.created_at) + 1 < t.parked_seconds",
    ),
    Rule(
        id="parked_has_time",
        says="A parked task says since when.",
        query="SELECT t.id FROM t WHERE t.status = 'parked' AND t.parked_at IS NULL",
    ),
    Rule(
        id="done_has_decision",
        says="A task that is done has a decision.",
        query="SELECT t.id FROM t WHERE t.status = 'done'"
        " AND NOT EXISTS (SELECT FROM decisions d WHERE d.task_id = t.id)",
    ),
    Rule(
        id="done_has_answer",
        says="A task that is done has an answer.",
        query="SELECT t.id FROM t WHERE t.status = 'done' AND t.answer IS NULL",
    ),
    Rule(
        id="done_has_action",
        says="A task that is done acted, or a person said that it had.",
        query="SELECT t.id FROM t WHERE t.status = 'done'"
        f" AND NOT EXISTS (SELECT FROM actions a WHERE a.task_id = t.id AND {_HAPPENED})",
    ),
    Rule(
        id="done_subtask_acted",
        # What ended before its task began was done by the one that it was forked from.
        says="A subtask that is done has an action that is done, or that a person said was done.",
        query="SELECT t.id FROM t JOIN subtasks s ON s.task_id = t.id WHERE s.status = 'done'"
        " AND NOT (t.forked_from IS NOT NULL AND s.ended_at IS NOT NULL AND s.ended_at < t.created_at) AND NOT EXISTS"
        f" (SELECT FROM actions a WHERE a.task_id = s.task_id AND a.subtask_id = s.subtask_id AND {_HAPPENED})",
    ),
    Rule(
        id="one_action_a_subtask",
        says="A subtask acts once.",
        query="SELECT t.id FROM t JOIN actions a ON a.task_id = t.id GROUP BY t.id, a.subtask_id HAVING count(*) > 1",
    ),
    Rule(
        id="effect_in_ledger",
        says="Every recorded effect has its action in the ledger: none happened twice or unasked.",
        query="SELECT t.id FROM t JOIN records r ON r.task_id = t.id WHERE NOT EXISTS"
        " (SELECT FROM actions a WHERE a.task_id = r.task_id AND a.idempotency_key = r.idempotency_key)",
    ),
    Rule(
        id="confidence_in_range",
        says="A vote that counted has a confidence in [0, 1].",
        query="SELECT t.id FROM t JOIN proposals p ON p.task_id = t.id"
        " WHERE p.struck IS NULL AND NOT p.confidence BETWEEN 0 AND 1",
    ),
    Rule(
        id="ended_asks_nobody",
        says="A task that ended has no approval left open.",
        query="SELECT t.id FROM t JOIN approvals a ON a.task_id = t.id"
        f" WHERE t.status IN ({_ENDED}) AND a.status = 'open'",
    ),
    Rule(
        id="approval_marks_escalation",
        says="A task for which a person was asked counts as escalated.",
        query="SELECT DISTINCT t.id FROM t JOIN approvals a ON a.task_id = t.id WHERE NOT t.escalated",
    ),
    Rule(
        id="nobody_approves_own",
        says="Nobody approved what they submitted.",
        query="SELECT t.id FROM t JOIN approvals a ON a.task_id = t.id"
        " WHERE a.status = 'approved' AND a.answered_by = a.submitter",
    ),
)
