"""Every recorded verdict beside the one that the gate gives now on the same subject."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from catalog.load import Catalog
from domain.approval import Approval
from domain.decision import Decision
from domain.guard import Finding, Hop, Subject, Verdict
from domain.proposal import Option
from domain.task_type import SubtaskSpec, TaskType
from guardrails.gate import CedarGate
from negotiation.conclusion import open_options
from negotiation.rounds import declared_options
from storage.repositories.actions import FALLBACK
from storage.repositories.approvals import approval_of
from storage.repositories.negotiation import counted
from storage.repositories.records import TaskRecords
from tasks.ballots import proposal_subject
from tasks.bindings import chosen_option
from tasks.subjects import arguments_subject, input_subject, memory_subject, response_subject
from tasks.taint import was_tainted
from tasks.verdicts import verdict_row


@dataclass(frozen=True)
class Judged:
    """One verdict and what is said now."""

    recorded: dict[str, Any]
    again: dict[str, Any]
    """Under other policies only the subject is compared."""
    policy_hash: str
    """Of the policies that it was recorded under."""
    effects: str = ""
    """Under other policies: the recorded effect and the one of now."""
    missing: str = ""
    """Why it could not be judged again."""


def judged_again(catalog: Catalog, records: TaskRecords) -> dict[str, dict[str, Judged]]:
    """Stage (`guard/<hop>`) -> the verdict's key -> both."""
    kind = catalog.task_type(records.row["task_type"])
    gate = catalog.gate(kind.name)
    subjects = dict(_subjects(kind, records))
    found: dict[str, dict[str, Judged]] = {}
    for row in records.verdicts:
        subject = subjects.get(row["key"])
        if row["hop"] == Hop.RETRIEVED and row["body"].get("modified"):
            told = "what was shown of the memory is not recorded by itself"
            one = Judged(row["body"], row["body"], row["policy_hash"], missing=told)
        elif subject is None:
            one = Judged(row["body"], row["body"], row["policy_hash"], missing="its subject is not recorded")
        else:
            one = _beside(row, gate.rule(subject, _findings(gate, subject, row["body"])))
        found.setdefault(f"guard/{row['hop']}", {})[row["key"]] = one
    return dict(sorted(found.items()))


_KEPT = ("approval_id", "modified_by", "modified", "instead")
"""What a verdict says of how it came about; what passed in the end is what is judged again."""


def _findings(gate: CedarGate, subject: Subject, was: dict[str, Any]) -> list[Finding]:
    """What its own filters find now, and what those found that asked somebody else: they are not asked again."""
    recorded = (Finding.model_validate(one) for one in was.get("findings", ()))
    return [*gate.judge_here(subject).findings, *(one for one in recorded if gate.is_asking(one.guard_id))]


def _beside(row: dict[str, Any], verdict: Verdict) -> Judged:
    was = row["body"]
    kept = Verdict.model_validate(was)
    if kept.modified_by:
        # Some of them may come of what was taken out.
        verdict = verdict.model_copy(update={"obligations": kept.obligations})
    verdict = verdict.model_copy(update={name: getattr(kept, name) for name in _KEPT})
    now = verdict_row(row["task_id"], row["key"], verdict)
    if verdict.policy_hash == row["policy_hash"]:
        return Judged(was, now["body"], row["policy_hash"])
    effects = f"recorded {row['effect']}, {verdict.effect.value} under the policies of now"
    return Judged(
        {"input_hash": was["input_hash"]}, {"input_hash": verdict.input_hash}, row["policy_hash"], effects=effects
    )


def _subjects(kind: TaskType, records: TaskRecords) -> Iterator[tuple[str, Subject]]:
    task = records.task
    yield "intake", input_subject(kind, task.payload)
    for memory in records.memories.values():
        if "erased" not in memory["data"]:
            subject = memory_subject(memory["text"], memory["kind"], memory["data"])
            yield from ((f"retrieved:{spec.id}:{memory['id']}", subject) for spec in kind.plan.subtasks)
    for spec in kind.plan.subtasks:
        yield from _proposals(spec, records)
        yield from _arguments(kind, spec, records)
        response = (records.actions.get(spec.id) or {}).get("response")
        # What a verdict had withheld is not recorded.
        if response is not None and "withheld" not in response and "erased" not in response:
            executor = str(records.actions[spec.id]["executor"]).removeprefix(FALLBACK)
            yield f"response:{spec.id}", response_subject(spec.id, executor, response)


def _proposals(spec: SubtaskSpec, records: TaskRecords) -> Iterator[tuple[str, Subject]]:
    rounds = records.rounds(spec.id)
    for number, given in enumerate(rounds):
        options = open_options(spec, declared_options(spec), counted(rounds[:number]))
        for one in given:
            yield (
                f"proposal:{spec.id}:{number}:{one.proposal.persona}",
                proposal_subject(spec.id, one.proposal, options),
            )


def _arguments(kind: TaskType, spec: SubtaskSpec, records: TaskRecords) -> Iterator[tuple[str, Subject]]:
    row = records.decisions.get(spec.id)
    if row is None:
        return
    decision = Decision.model_validate(row["body"])
    for verdict in records.verdicts:
        if verdict["hop"] != Hop.ARGUMENTS or verdict["subtask_id"] != spec.id:
            continue
        approval = _approval(records, verdict["body"].get("approval_id"))
        instead = verdict["body"].get("instead")
        option = Option.model_validate(instead) if instead else chosen_option(spec, decision, approval)
        if option is not None:
            tainted = was_tainted(kind, records.verdicts, spec.id)
            subject = arguments_subject(kind, records.task.payload, decision, option, approval, tainted=tainted)
            yield verdict["key"], subject


def _approval(records: TaskRecords, approval_id: str | None) -> Approval | None:
    found = next((row for row in records.approvals if row["id"] == approval_id), None)
    if found is None:
        return None
    approval = approval_of(found, records.answers)
    return approval if approval.stands else None
