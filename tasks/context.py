"""What every stage is handed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.load import Catalog
from domain.action import Executor
from domain.guard import Verdict
from domain.memory import Recall
from domain.model import Frozen
from domain.ports import Recaller
from domain.task import Lease, Task
from domain.task_type import TaskType
from guardrails.gate import CedarGate
from storage.unit_of_work import LOOK, UnitOfWork, check_fence

GRAPH_VERSION = "1"
"""Part of what an approval is bound to; raised when a node is added or moved."""


class Retrieved(Frozen):
    """What was recalled and let pass, with the guards' verdict on each memory by its id."""

    recall: Recall
    verdicts: dict[str, Verdict]


@dataclass
class StageContext:
    """One run of one task. `task` is replaced where intake redacts its payload; all else stays as it is."""

    engine: AsyncEngine
    catalog: Catalog
    recaller: Recaller
    executors: Mapping[str, Executor]
    lease: Lease
    task: Task
    retrieved: dict[str, "Retrieved"] = field(default_factory=dict)
    """By subtask: recall depends on `memory_as_of` alone, so the rounds of one run share it."""

    @property
    def task_type(self) -> TaskType:
        """The task's type."""
        return self.catalog.task_type(self.task.task_type)

    @property
    def gate(self) -> CedarGate:
        """The gate of the task's type."""
        return self.catalog.gate(self.task.task_type)

    def work(self, *, halted_too: bool = False, midway: bool = False) -> UnitOfWork:
        """A fenced transaction. `halted_too`: even of a cancelled task; `midway`: in a node that has done work."""
        return UnitOfWork(self.engine, self.lease, halted_too=halted_too, midway=midway)

    async def check_going(self) -> None:
        """Look before calling out. Raises LeaseLost, TaskHalted."""
        async with self.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            row = (await connection.execute(LOOK, {"id": self.task.id})).one()
        check_fence(row, self.lease, midway=True)
