"""One round's ballots: contexts are assembled and frozen, the panel proposes, the guards look at each proposal."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from domain.canonical import canonical_json, digest
from domain.errors import ReasonerError
from domain.guard import ABSTAIN, Effect, Hop, Subject, Verdict
from domain.memory import PersonaContext, Recall, Snapshot
from domain.model import Frozen
from domain.persona import Persona
from domain.proposal import Evidence, Option, Proposal, Telemetry
from domain.task_type import SubtaskSpec
from memory.contexts import assemble
from memory.snapshots import freeze
from negotiation.rounds import table_for
from personas.panel import Panelist
from storage.repositories.negotiation import StoredProposal
from storage.tables import proposals, snapshots, telemetry, verdicts
from storage.unit_of_work import UnitOfWork
from tasks.context import StageContext
from tasks.passage import redact_and_judge
from tasks.retrieval import retrieve
from tasks.verdicts import verdict_row


class Ballot(Frozen):
    """One persona's answer: a proposal with its verdict, or why there is none."""

    persona: str
    key: str
    proposal: Proposal | None
    verdict: Verdict | None
    telemetry: Telemetry

    @property
    def struck(self) -> str | None:
        """Why the proposal does not count."""
        if self.verdict is None or self.verdict.effect is Effect.ALLOW:
            return None
        return "; ".join(self.verdict.reasons)


class RoundBallots(Frozen):
    """A round as it will be stored."""

    snapshot: Snapshot
    ballots: tuple[Ballot, ...]
    retrieved: dict[str, Verdict]
    """The verdict on each recalled memory, by its id."""

    @property
    def degraded(self) -> str | None:
        """Why memory could not be searched, if so."""
        return next((seen.degraded for seen in self.snapshot.contexts if seen.degraded), None)


async def cast_round(
    context: StageContext, spec: SubtaskSpec, options: Sequence[Option], rounds: Sequence[Sequence[Proposal]]
) -> RoundBallots:
    """Ask every panelist once; a failed reasoner makes its persona absent, recorded in its telemetry."""
    retrieved = await retrieve(context, spec)
    panel = context.catalog.panelists(context.task.task_type, spec.id)
    contexts = tuple(_context(context, spec, panelist.persona, retrieved.recall, options, rounds) for panelist in panel)
    snapshot = freeze(context.task.id, spec.id, len(rounds), contexts)
    ballots = await asyncio.gather(
        *(_ballot(context, panelist, seen, options, snapshot) for panelist, seen in zip(panel, contexts, strict=True))
    )
    judged = await _judge(context, spec, ballots, options)
    return RoundBallots(snapshot=snapshot, ballots=judged, retrieved=retrieved.verdicts)


async def _judge(
    context: StageContext, spec: SubtaskSpec, ballots: Sequence[Ballot], options: Sequence[Option]
) -> tuple[Ballot, ...]:
    """Each with its verdict, and with what policy wants redacted taken out of it."""
    said = [(ballot, ballot.proposal) for ballot in ballots if ballot.proposal is not None]
    verdicts = await context.gate.judge_all([proposal_subject(spec.id, proposal, options) for _, proposal in said])
    judged = {}
    for (ballot, proposal), verdict in zip(said, verdicts, strict=True):
        subject_of = partial(_subject, spec.id, proposal, options)
        passage = await redact_and_judge(context.gate, _words(proposal), subject_of, verdict)
        update = {"proposal": _with_words(proposal, passage.value), "verdict": passage.verdict}
        judged[ballot.persona] = ballot.model_copy(update=update)
    return tuple(judged.get(ballot.persona, ballot) for ballot in ballots)


def _words(proposal: Proposal) -> dict[str, Any]:
    """What a persona says in its own words; its vote is not among them."""
    return {
        "rationale": proposal.rationale,
        "reasons": list(proposal.reasons),
        "named_error": proposal.named_error,
        "evidence": [_told(item) for item in proposal.evidence],
    }


def _told(item: Evidence) -> list[str]:
    """What of a piece of evidence is text: the others are shown its value as well as its note."""
    return [item.note, item.value] if isinstance(item.value, str) else [item.note]


def _with_words(proposal: Proposal, words: dict[str, Any]) -> Proposal:
    evidence = zip(proposal.evidence, words["evidence"], strict=True)
    update = {
        "rationale": words["rationale"],
        "reasons": tuple(words["reasons"]),
        "named_error": words["named_error"],
        "evidence": tuple(
            item.model_copy(update=dict(zip(("note", "value"), told, strict=False))) for item, told in evidence
        ),
    }
    return proposal.model_copy(update=update)


def _subject(subtask_id: str, proposal: Proposal, options: Sequence[Option], words: dict[str, Any]) -> Subject:
    return proposal_subject(subtask_id, _with_words(proposal, words), options)


def _context(
    context: StageContext,
    spec: SubtaskSpec,
    persona: Persona,
    recall: Recall,
    options: Sequence[Option],
    rounds: Sequence[Sequence[Proposal]],
) -> PersonaContext:
    table = table_for(persona.id, rounds)
    return assemble(
        spec.context,
        persona,
        context.task.payload,
        recall,
        question=spec.question,
        options=[option.name for option in options],
        round=len(rounds),
        shared=table.shared,
        others=table.others,
        own_previous=table.own_previous,
    )


async def _ballot(
    context: StageContext, panelist: Panelist, seen: PersonaContext, options: Sequence[Option], snapshot: Snapshot
) -> Ballot:
    persona = panelist.persona
    key = digest([context.task.id, snapshot.subtask_id, seen.round, panelist.fingerprint, snapshot.hash])
    try:
        proposal, cost = await panelist.propose(seen, options, context.check_going)
    except ReasonerError as error:
        absent = Telemetry(persona=persona.id, round=seen.round, latency_ms=0.0, error=str(error)[:500])
        return Ballot(persona=persona.id, key=key, proposal=None, verdict=None, telemetry=absent)
    return Ballot(persona=persona.id, key=key, proposal=proposal, verdict=None, telemetry=cost)


def proposal_subject(subtask_id: str, proposal: Proposal, options: Sequence[Option]) -> Subject:
    """What the guards see of a proposal."""
    actions = {option.name: option.action for option in options}
    evidence = [[item.id, item.field, *_told(item)] for item in proposal.evidence]
    counter = proposal.counter.model_dump(mode="json") if proposal.counter else None
    said = [proposal.rationale, proposal.reasons, evidence, proposal.named_error, counter]
    return Subject(
        hop=Hop.PROPOSAL,
        text=canonical_json(said),
        facts={
            "subtask": subtask_id,
            "persona": proposal.persona,
            "action": actions.get(proposal.option or "", ABSTAIN),
            "confidence_bp": round(proposal.confidence * 10_000),
            "reason_count": len(proposal.reasons),
            "has_rationale": bool(proposal.rationale.strip()),
            "evidence_count": len(proposal.evidence),
        },
    )


async def store_round(work: UnitOfWork, ballots: RoundBallots) -> list[StoredProposal]:
    """Write the round's snapshot, proposals, verdicts and telemetry; returns the proposals as stored."""
    snapshot = ballots.snapshot
    place = {"task_id": snapshot.task_id, "subtask_id": snapshot.subtask_id, "round": snapshot.round}
    shown = [seen.model_dump(mode="json") for seen in snapshot.contexts]
    await work.add(snapshots, {**place, "hash": snapshot.hash, "contexts": shown, "degraded": ballots.degraded})
    await work.add(proposals, *_proposal_rows(place, ballots))
    await work.add(telemetry, *({**place, **ballot.telemetry.model_dump()} for ballot in ballots.ballots))
    prefix = f"proposal:{snapshot.subtask_id}:{snapshot.round}"
    rows = (
        verdict_row(snapshot.task_id, f"{prefix}:{ballot.persona}", ballot.verdict, snapshot.subtask_id)
        for ballot in ballots.ballots
        if ballot.verdict
    )
    await work.add(verdicts, *rows, *_retrieved_rows(snapshot, ballots))
    return [
        StoredProposal(proposal=ballot.proposal, struck=ballot.struck) for ballot in ballots.ballots if ballot.proposal
    ]


def _retrieved_rows(snapshot: Snapshot, ballots: RoundBallots) -> list[dict[str, Any]]:
    return [
        verdict_row(snapshot.task_id, f"retrieved:{snapshot.subtask_id}:{memory_id}", verdict, snapshot.subtask_id)
        for memory_id, verdict in sorted(ballots.retrieved.items())
    ]


def _proposal_rows(place: dict[str, Any], ballots: RoundBallots) -> list[dict[str, Any]]:
    return [
        {
            **place,
            "persona": ballot.persona,
            "key": ballot.key,
            "option": ballot.proposal.option,
            "confidence": ballot.proposal.confidence,
            "struck": ballot.struck,
            "body": ballot.proposal.model_dump(mode="json"),
        }
        for ballot in ballots.ballots
        if ballot.proposal
    ]
