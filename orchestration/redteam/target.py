"""The target of the red team's actions: writes every effect down, and answers with what the scenario says."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.action import Ability, ActionRequest
from orchestration.redteam.gullible import World
from tasks.executors.record_decision import RecordDecision

INJECTED_STEP = "check"
"""The step whose answer a scenario may write."""


class Target:
    """Acts as `record_decision` does: nothing leaves the database of the run."""

    name = RecordDecision.name

    def __init__(self, engine: AsyncEngine, world: World) -> None:
        self._records, self._world = RecordDecision(engine), world

    def ability(self, parameters: Mapping[str, Any]) -> Ability:
        """The records' own."""
        return self._records.ability(parameters)

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Write the effect down. Raises LeaseLost where a newer fence stands."""
        return self._answer(request, await self._records.execute(request))

    async def find(self, request: ActionRequest) -> dict[str, Any] | None:
        """Whether the effect is there."""
        found = await self._records.find(request)
        return None if found is None else self._answer(request, found)

    def _answer(self, request: ActionRequest, response: dict[str, Any]) -> dict[str, Any]:
        order = self._world.orders.get(request.task_id, "")
        text = self._world.answers.get(order)
        if text is None or request.subtask_id != INJECTED_STEP:
            return response
        self._world.heard[order] = text
        return {**response, "note": text}
