"""The decision is the effect: a row in `records`, once for its key."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.action import ActionRequest, ExecutorKind
from storage.tables import records
from storage.writes import insert_all


class RecordDecision:
    """Writes the decided action; the primary key makes a repeat harmless."""

    name = "record_decision"
    kind = ExecutorKind.DEDUP

    def __init__(self, engine: AsyncEngine) -> None:
        # One statement is a transaction by itself: without BEGIN and COMMIT it is one exchange instead of three.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Insert the record."""
        row = {
            "idempotency_key": request.idempotency_key,
            "task_id": request.task_id,
            "action": request.action,
            "arguments": request.arguments,
        }
        async with self._engine.connect() as connection:
            await insert_all(connection, {records: [row]})
        return {"status": "recorded", "action": request.action}
