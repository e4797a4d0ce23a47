"""The frozen, content-addressed contexts that a round worked from."""

from collections.abc import Iterable

from domain.canonical import digest
from domain.memory import PersonaContext, Snapshot


def freeze(task_id: str, subtask_id: str, round: int, contexts: Iterable[PersonaContext]) -> Snapshot:
    """The snapshot of a round; its hash covers the contexts alone, so equal contexts share it."""
    ordered = tuple(sorted(contexts, key=lambda context: context.persona))
    hashed = digest([context.model_dump(mode="json") for context in ordered])
    return Snapshot(hash=hashed, task_id=task_id, subtask_id=subtask_id, round=round, contexts=ordered)
