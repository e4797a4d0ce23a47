"""What a calibration decided as a shadow, beside what was decided in its time."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.model import Frozen


class Agreement(Frozen):
    """A shadow's decisions beside those that were taken."""

    decisions: int
    """Decisions that it was computed beside."""
    alike: int
    """Of them, those with the same kind of result and the same option."""
    decided: int
    """Those that it would have decided without a person."""
    resolved: int
    """Of these, those whose outcome is known."""
    right: int
    """Of these, those in which its option was right."""
    stood_resolved: int
    """Decisions taken without a person in the same time, whose outcome is known."""
    stood_right: int
    """Of these, those that were right."""

    @property
    def accuracy(self) -> float | None:
        """Share of right ones among what it would have decided; None before the first outcome."""
        return self.right / self.resolved if self.resolved else None


# An option that a counter-proposal brought has a name of its own: where the decision took it, its action is known.
_AGREEMENT = text(
    """
    SELECT count(*) AS decisions,
      count(*) FILTER (WHERE kind = shadow_kind AND option IS NOT DISTINCT FROM shadow_option) AS alike,
      count(*) FILTER (WHERE shadow_kind = 'decided') AS decided,
      count(right_action) FILTER (WHERE shadow_kind = 'decided') AS resolved,
      count(*) FILTER (WHERE shadow_kind = 'decided'
        AND right_action = CASE WHEN shadow_option = taken THEN action ELSE shadow_option END) AS right,
      count(right_action) FILTER (WHERE kind = 'decided') AS stood_resolved,
      count(*) FILTER (WHERE kind = 'decided' AND right_action = action) AS stood_right
    FROM (
      SELECT d.kind, d.body->'result'->>'option' AS option, d.option AS taken, d.action, o.right_action,
        d.body->'shadow'->>'kind' AS shadow_kind, d.body->'shadow'->>'option' AS shadow_option
      FROM decisions d JOIN tasks t ON t.id = d.task_id LEFT JOIN outcomes o ON o.task_id = d.task_id
      WHERE t.task_type = :task_type AND d.subtask_id = :subtask_id
        AND jsonb_typeof(d.body->'shadow') = 'object' AND d.body->'shadow'->>'calibration' = CAST(:version AS text)
    ) beside
    """
)


async def agreement(connection: AsyncConnection, task_type: str, subtask_id: str, version: int) -> Agreement | None:
    """How the version did as a shadow; None where it was computed beside no decision."""
    values = {"task_type": task_type, "subtask_id": subtask_id, "version": str(version)}
    row = (await connection.execute(_AGREEMENT, values)).mappings().one()
    return Agreement.model_validate(dict(row)) if row["decisions"] else None
