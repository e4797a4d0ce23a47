"""The decision is the effect: a row in `records`, once for its key."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.action import Ability, ActionRequest, ExecutorKind, NoParameters
from domain.canonical import canonical_json
from domain.errors import LeaseLost
from storage.tables import records
from tasks.outbound import Outbound

# A claim by another run and this insert exclude each other on the task's row, so nothing is written past the lease.
_INSERT = text(
    "WITH owner AS (SELECT id FROM tasks WHERE id = :task AND fence = :fence AND ended_at IS NULL FOR SHARE), "
    "written AS (INSERT INTO records (idempotency_key, task_id, action, arguments) "
    "SELECT :key, id, :action, CAST(:arguments AS jsonb) FROM owner ON CONFLICT DO NOTHING) "
    "SELECT count(*) FROM owner"
)
_ABILITY = Ability(kind=ExecutorKind.FENCED, target="record_decision")


class RecordDecision:
    """Writes the decided action; the primary key makes a repeat harmless, the fence refuses a stale run."""

    name = "record_decision"
    parameters: ClassVar[type[BaseModel]] = NoParameters

    def __init__(self, engine: AsyncEngine, outbound: Outbound | None = None) -> None:
        del outbound  # every executor is made alike; this one calls nobody
        # One statement is a transaction by itself: without BEGIN and COMMIT it is one exchange instead of three.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def ability(self, parameters: Mapping[str, Any]) -> Ability:
        """Always the same."""
        del parameters
        return _ABILITY

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Insert the record. Raises LeaseLost where a newer fence stands or the task has ended."""
        values = {
            "key": request.idempotency_key,
            "task": request.task_id,
            "action": request.action,
            "arguments": canonical_json(request.arguments),
            "fence": request.fence,
        }
        async with self._engine.connect() as connection:
            if not await connection.scalar(_INSERT, values):
                raise LeaseLost(f"task {request.task_id}: fence {request.fence} is stale or it has ended")
        return _response(request)

    async def find(self, request: ActionRequest) -> dict[str, Any] | None:
        """Whether the record is there."""
        statement = select(records.c.task_id).where(records.c.idempotency_key == request.idempotency_key)
        async with self._engine.connect() as connection:
            return _response(request) if (await connection.execute(statement)).first() else None


def _response(request: ActionRequest) -> dict[str, Any]:
    return {"status": "recorded", "action": request.action}
