"""A recorded round's contexts, built once more from the payload, the memories' rows and the recorded proposals."""

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.load import Catalog
from domain.memory import Memory, PersonaContext, Recall
from domain.proposal import Proposal
from domain.task import Task
from domain.task_type import SubtaskSpec
from memory.contexts import assemble
from memory.snapshots import freeze
from negotiation.conclusion import open_options
from negotiation.rounds import declared_options, table_for


def rebuilt_hash(
    catalog: Catalog,
    task: Task,
    spec: SubtaskSpec,
    seen: Sequence[PersonaContext],
    earlier: Sequence[Sequence[Proposal]],
    rows: Mapping[str, Mapping[str, Any]],
) -> str:
    """The hash of the contexts as they are built now. Raises ValueError that says why they cannot be."""
    recall = Recall(
        episodes=_ordered(task, rows, [_named(one, one.episodes, "episode") for one in seen]),
        facts=_ordered(task, rows, [_named(one, one.facts, "fact") for one in seen]),
        degraded=next((one.degraded for one in seen if one.degraded), None),
    )
    options = [option.name for option in open_options(spec, declared_options(spec), earlier)]
    panel = {one.persona.id: one.persona for one in catalog.panelists(task.task_type, spec.id)}
    contexts = []
    for one in seen:
        if one.persona not in panel:
            raise ValueError(f"persona {one.persona} is not on the panel any more")
        table = table_for(one.persona, earlier)
        contexts.append(
            assemble(
                spec.context,
                panel[one.persona],
                task.payload,
                recall,
                question=spec.question,
                options=options,
                round=one.round,
                shared=table.shared,
                others=table.others,
                own_previous=table.own_previous,
            )
        )
    return freeze(task.id, spec.id, len(earlier), contexts).hash


def _named(seen: PersonaContext, kept: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """The ids as they were recalled, best first: the budget takes them from the end."""
    cut = [name.removeprefix(f"{kind}:") for name in seen.truncated if name.startswith(f"{kind}:")]
    return [*(str(one["id"]) for one in kept), *reversed(cut)]


def _ordered(task: Task, rows: Mapping[str, Mapping[str, Any]], named: Sequence[Sequence[str]]) -> tuple[Memory, ...]:
    ids = max(named, key=len, default=())
    for one in ids:
        if one not in rows or "erased" in rows[one]["data"]:
            raise ValueError(f"memory {one} was erased")
        if rows[one]["known_at"] is None or rows[one]["known_at"] > task.memory_as_of:
            raise ValueError(f"memory {one} has changed since")
    return tuple(Memory.model_validate({name: rows[one][name] for name in Memory.model_fields}) for one in ids)
