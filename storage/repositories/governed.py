"""Which tasks a governance report is about."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# What was only tried is left out where its chain says so too: nobody hides a task by a word in its row.
_TRIED = (
    "EXISTS (SELECT FROM tasks d JOIN events e ON e.task_id = d.id AND e.key = 'fork' AND e.event = 'fork.created' "
    "WHERE d.id = found.id AND d.dry_run AND e.data -> 'dry_run' = 'true')"
)
# A chain whose task is gone has no type any more, and belongs into every report; what has no chain goes by its row.
_IN_SCOPE = text(
    "SELECT id FROM (SELECT DISTINCT task_id AS id FROM audit_log WHERE at < :until "
    " AND (CAST(:since AS timestamptz) IS NULL OR at >= :since) "
    " UNION SELECT id FROM tasks WHERE created_at < :until "
    " AND (CAST(:since AS timestamptz) IS NULL OR created_at >= :since) "
    " UNION SELECT task_id FROM audit_heads h WHERE NOT EXISTS (SELECT FROM audit_log l WHERE l.task_id = h.task_id)) "
    "found WHERE (CAST(:type AS text) IS NULL "
    "OR NOT EXISTS (SELECT FROM tasks t WHERE t.id = found.id AND t.task_type <> :type)) "
    f"AND NOT {_TRIED} ORDER BY id"
)
_KNOWN = text("SELECT task_id FROM audit_heads UNION SELECT id FROM tasks UNION SELECT DISTINCT task_id FROM audit_log")


async def ids_in_scope(
    connection: AsyncConnection, since: datetime | None, until: datetime, task_type: str | None
) -> list[str]:
    """The tasks of which something happened in [since, until), in order; not what was only tried, a dry run."""
    given = {"since": since, "until": until, "type": task_type}
    return list((await connection.execute(_IN_SCOPE, given)).scalars())


async def known_ids(connection: AsyncConnection) -> set[str]:
    """Everything that has a row, a chain or a head."""
    return set((await connection.execute(_KNOWN)).scalars())
