"""The decision is the effect: a row in `records`, once for its key."""

from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.action import ActionRequest, ExecutorKind
from storage.tables import records


class RecordDecision:
    """Writes the decided action; the primary key makes a repeat harmless."""

    name = "record_decision"
    kind = ExecutorKind.DEDUP

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Insert the record."""
        row = {
            "idempotency_key": request.idempotency_key,
            "task_id": request.task_id,
            "action": request.action,
            "arguments": request.arguments,
        }
        async with self._engine.begin() as connection:
            await connection.execute(insert(records).values(row).on_conflict_do_nothing())
        return {"status": "recorded", "action": request.action}
