"""What a subtask's panel may be reminded of: recalled memories pass the guards before anyone sees them."""

from collections.abc import Sequence

from domain.guard import Effect, Hop, Subject, Verdict
from domain.memory import Memory
from domain.task_type import SubtaskSpec
from memory.episodes import describe
from tasks.context import Retrieved, StageContext


async def retrieve(context: StageContext, spec: SubtaskSpec) -> Retrieved:
    """Recall for the subtask, once a run; memories that the guards do not let pass are left out."""
    known = context.retrieved.get(spec.id)
    if known is None:
        contract = spec.context
        recall = await context.recaller.recall(
            context.task.task_type,
            describe(contract, context.task.payload),
            contract.episodic,
            contract.semantic,
            context.task.memory_as_of,
        )
        verdicts = _judge(context, (*recall.episodes, *recall.facts))
        passed = {name for name, verdict in verdicts.items() if verdict.effect is Effect.ALLOW}
        known = Retrieved(
            recall=recall.model_copy(
                update={
                    "episodes": tuple(memory for memory in recall.episodes if memory.id in passed),
                    "facts": tuple(memory for memory in recall.facts if memory.id in passed),
                }
            ),
            verdicts=verdicts,
        )
        context.retrieved[spec.id] = known
    return known


def _judge(context: StageContext, memories: Sequence[Memory]) -> dict[str, Verdict]:
    return {
        memory.id: context.gate.judge(Subject(hop=Hop.RETRIEVED, text=memory.text, facts={"source": memory.kind}))
        for memory in memories
    }
