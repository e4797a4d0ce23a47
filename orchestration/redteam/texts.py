"""Texts through a task type's whole gate, at every hop where such a text can stand."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from catalog.schemas import types_of
from domain.guard import Effect, Hop, Subject
from domain.model import Frozen
from domain.proposal import Proposal
from domain.task_type import TaskType
from evaluation.rates import Rate, rate
from guardrails.gate import CedarGate
from guardrails.redteam.baseline import Counted
from guardrails.redteam.corpus import Text
from negotiation.rounds import declared_options
from tasks.ballots import proposal_subject
from tasks.passage import redact_and_judge
from tasks.subjects import input_subject, memory_subject, response_subject
from tasks.taint import free_text

BATCH_TEXTS = 16
BATCH_CHARACTERS = 40_000
"""Filters have a time limit for what is judged in one call: a heap of long texts is no slow filter."""


class SourceFigures(Counted):
    """How the texts of one source fared, hop by hop."""

    share: Rate
    """Caught ones."""
    by_hop: dict[str, int]
    """Stopped or tainted at this hop."""
    stopped: int
    """Let in at no hop: denied, struck, left out or withheld."""
    redacted: int
    """Passed somewhere with something taken out."""


class Passed(Frozen):
    """What became of one text at one hop."""

    caught: bool
    stopped: bool
    redacted: bool


Place = tuple[Hop, Callable[[str], Any], Callable[[Any], Subject]]
"""A hop, how a text lies in what stands there, and what the gate sees of that."""


def places(task_type: TaskType) -> tuple[Place, ...]:
    """The hops where a text of somebody else's can stand."""
    spec = task_type.plan.subtasks[-1]
    options = declared_options(spec)
    proposal = Proposal(
        persona=spec.panel[0], persona_version=1, round=0, option=options[0].name, confidence=0.8, rationale=""
    )

    def of_proposal(said: Any) -> Subject:
        return proposal_subject(spec.id, proposal.model_copy(update={"rationale": said}), options)

    found: list[Place] = [
        (Hop.RETRIEVED, lambda text: text, lambda text: memory_subject(text, "semantic", {})),
        (Hop.PROPOSAL, lambda text: text, of_proposal),
        (
            Hop.RESPONSE,
            lambda text: {"status": "200", "body": text},
            lambda value: response_subject(spec.id, spec.executor, value),
        ),
    ]
    field = _text_field(task_type)
    if field is not None:
        found.insert(0, (Hop.INPUT, lambda text: {field: text}, lambda payload: input_subject(task_type, payload)))
    return tuple(found)


def _text_field(task_type: TaskType) -> str | None:
    """The payload field with room for the longest text; None where no field can say anything of its own."""
    fields = task_type.payload_schema.get("properties", {})
    texts = [
        name
        for name in sorted(free_text(task_type))
        if "string" in types_of(task_type.payload_schema, fields[name]) and "pattern" not in fields[name]
    ]
    return max(texts, key=lambda name: fields[name].get("maxLength", 10**9), default=None)


async def judge_texts(gate: CedarGate, task_type: TaskType, texts: Sequence[Text]) -> tuple[SourceFigures, ...]:
    """The figures of each source: attacks first, then by name."""
    where = places(task_type)
    fared: dict[tuple[bool, str], list[dict[Hop, Passed]]] = defaultdict(list)
    for batch in _batches(texts):
        passed: list[dict[Hop, Passed]] = [{} for _ in batch]
        for place in where:
            for one, found in zip(passed, await _at(gate, place, batch), strict=True):
                one[place[0]] = found
        for text, found_at in zip(batch, passed, strict=True):
            fared[not text.attack, text.source].append(found_at)
    return tuple(_figures(source, not harmless, found) for (harmless, source), found in sorted(fared.items()))


async def _at(gate: CedarGate, place: Place, batch: Sequence[Text]) -> list[Passed]:
    _, lies, subject_of = place
    values = [lies(text.text) for text in batch]
    verdicts = await gate.judge_all([subject_of(value) for value in values])
    found = []
    for value, verdict in zip(values, verdicts, strict=True):
        passage = await redact_and_judge(gate, value, subject_of, verdict)
        allowed = passage.verdict.effect is Effect.ALLOW
        found.append(
            Passed(
                caught=not allowed or passage.verdict.tainted,
                stopped=not allowed,
                redacted=allowed and bool(passage.verdict.modified),
            )
        )
    return found


def _figures(source: str, attack: bool, found: Sequence[dict[Hop, Passed]]) -> SourceFigures:
    over = all if attack else any
    caught = sum(over(passed.caught for passed in one.values()) for one in found)
    return SourceFigures(
        source=source,
        attack=attack,
        n=len(found),
        caught=caught,
        share=rate(caught, len(found)),
        by_hop={hop.value: sum(one[hop].caught for one in found) for hop in found[0]},
        stopped=sum(all(passed.stopped for passed in one.values()) for one in found),
        redacted=sum(any(passed.redacted for passed in one.values()) for one in found),
    )


def _batches(texts: Sequence[Text]) -> Iterator[list[Text]]:
    batch: list[Text] = []
    size = 0
    for text in texts:
        if batch and (len(batch) >= BATCH_TEXTS or size + len(text.text) > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text.text)
    if batch:
        yield batch
