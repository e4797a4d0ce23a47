"""In the place of every executor of a task that only tries: the action is recorded as one, and nothing happens."""

from collections.abc import Mapping
from typing import Any

from domain.action import Ability, ActionRequest, Executor, ExecutorKind


class DryRun:
    """Answers for an executor that is not called."""

    def __init__(self, stands_for: str) -> None:
        self.name = stands_for

    def ability(self, parameters: Mapping[str, Any]) -> Ability:
        """Nothing happens, so it may be repeated."""
        del parameters
        return Ability(kind=ExecutorKind.DEDUP, target="dry run")

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Do nothing, and say so."""
        return {"status": "dry_run", "action": request.action, "executor": self.name}


def dry_runs(executors: Mapping[str, Executor]) -> dict[str, Executor]:
    """One for each."""
    return {name: DryRun(name) for name in executors}
