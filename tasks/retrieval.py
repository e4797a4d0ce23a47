"""What a subtask's panel may be reminded of: recalled memories pass the guards before anyone sees them."""

from collections.abc import Mapping, Sequence
from functools import partial

from domain.guard import Effect, Subject
from domain.memory import Memory
from domain.task_type import SubtaskSpec
from memory.episodes import describe
from tasks.context import Retrieved, StageContext
from tasks.passage import Passage, redact_and_judge
from tasks.subjects import memory_subject


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
        judged = await _judge(context, (*recall.episodes, *recall.facts))
        known = Retrieved(
            recall=recall.model_copy(
                update={"episodes": _passed(recall.episodes, judged), "facts": _passed(recall.facts, judged)}
            ),
            verdicts={name: passage.verdict for name, passage in judged.items()},
        )
        context.retrieved[spec.id] = known
    return known


def _passed(memories: Sequence[Memory], judged: Mapping[str, Passage]) -> tuple[Memory, ...]:
    """Those that may be shown, as they may be shown."""
    return tuple(
        memory.model_copy(update={"text": judged[memory.id].value})
        for memory in memories
        if judged[memory.id].verdict.effect is Effect.ALLOW
    )


async def _judge(context: StageContext, memories: Sequence[Memory]) -> dict[str, Passage]:
    subjects = [memory_subject(memory.text, memory.kind, memory.data) for memory in memories]
    verdicts = await context.gate.judge_all(subjects)
    return {
        memory.id: await redact_and_judge(context.gate, memory.text, partial(_subject, memory), verdict)
        for memory, verdict in zip(memories, verdicts, strict=True)
    }


def _subject(memory: Memory, shown: str) -> Subject:
    return memory_subject(shown, memory.kind, memory.data)
