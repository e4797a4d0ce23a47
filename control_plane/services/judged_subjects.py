"""What each recorded verdict was given on, from the task's records."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.approval import Approval
from domain.audit import is_erased, unmarked
from domain.decision import Decision
from domain.guard import Hop, Subject
from domain.proposal import Option
from domain.task_type import SubtaskSpec, TaskType
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


def subjects_of(kind: TaskType, records: TaskRecords) -> Iterator[tuple[str, Subject]]:
    """The key of each verdict whose subject is recorded, with the subject.

    Raises KeyError or ValueError where the records do not fit the task type.
    """
    task = records.task
    yield "intake", input_subject(kind, task.payload)
    for memory in records.memories.values():
        if "erased" not in memory["data"]:
            subject = memory_subject(memory["text"], memory["kind"], memory["data"])
            yield from ((f"retrieved:{spec.id}:{memory['id']}", subject) for spec in kind.plan.subtasks)
    for spec in kind.plan.subtasks:
        yield from _proposals(spec, records)
        yield from _arguments(kind, spec, records)
    for step, action in records.actions.items():
        response = action["response"]
        # What a verdict had withheld is not recorded.
        if response is not None and "withheld" not in response and "erased" not in response:
            executor = str(action["executor"]).removeprefix(FALLBACK)
            yield f"response:{step}", response_subject(step.partition(":")[0], executor, response)


def is_blanked(records: TaskRecords, row: Mapping[str, Any]) -> bool:
    """Whether an erasure took somebody's data out of the verdict, or out of what it was given on."""
    hop, name = row["hop"], row["subtask_id"]
    if is_erased(row["body"]) or (hop == Hop.INPUT and records.blanked("events", "intake")):
        return True
    if hop == Hop.RESPONSE:
        action = records.actions.get(row["key"].removeprefix("response:"))
        return action is not None and is_erased(action["response"])
    if hop == Hop.RETRIEVED:
        memory = records.memories.get(row["key"].split(":", 2)[-1])
        return memory is not None and "erased" in memory["data"]
    answered = hop == Hop.ARGUMENTS and any(is_erased(one["arguments"]) for one in records.answers)
    return answered or (name is not None and records.quoted(name))


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
    decision = Decision.model_validate(unmarked(row["body"]))
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
