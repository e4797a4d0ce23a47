"""Every recorded verdict beside the one that the gate gives now on the same subject."""

from dataclasses import dataclass
from typing import Any

from catalog.load import Catalog
from control_plane.services.judged_subjects import is_blanked, subjects_of
from domain.guard import Finding, Hop, Subject, Verdict
from guardrails.gate import CedarGate
from storage.repositories.records import TaskRecords
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
    subjects = dict(subjects_of(kind, records))
    found: dict[str, dict[str, Judged]] = {}
    for row in records.verdicts:
        subject = subjects.get(row["key"])
        if is_blanked(records, row):
            one = Judged(row["body"], row["body"], row["policy_hash"], missing="erased: it quoted somebody")
        elif row["hop"] == Hop.RETRIEVED and row["body"].get("modified"):
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
