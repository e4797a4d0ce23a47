"""A task's recorded verdicts beside what other policies say of the same subjects and findings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from control_plane.services.erased import is_erased
from control_plane.services.judged_subjects import is_blanked, subjects_of
from domain.guard import TAINT, Effect, Finding, Hop, Subject, Verdict
from domain.task_type import TaskType
from guardrails.gate import CedarGate
from guardrails.ruling import UNPERMITTED
from storage.repositories.records import TaskRecords
from tasks.taint import was_tainted

PASSES = frozenset({Effect.ALLOW, Effect.REDACT})
"""What goes on its way, if without some of its words."""

REASONS = {
    "erased": "the person's data was erased",
    "withheld": "policy had withheld the response",
    "redacted": "it was judged before it was redacted, and that text is not kept",
    "downgraded": "what was found in the action asked for is not kept, only in the lesser one",
    "not recorded": "what it was given on is not recorded",
    "changed": "what it was given on comes out of the records otherwise: the task type has changed, or what is judged",
    "stage": "what followed from the verdict changed it, such as a redaction that failed",
}
"""Why a verdict cannot be given again."""


class Again(NamedTuple):
    """One recorded verdict and what is said now."""

    task_id: str
    key: str
    hop: str
    was: Effect
    now: Verdict | None
    """None where it cannot be given again."""
    missing: str = ""
    """One of REASONS."""
    policies: tuple[str, ...] = ()
    """Whose doing a change is: those that decide now, or that no longer match."""
    taint: int = 0
    """1 where it taints now and did not, -1 the other way round."""

    @property
    def change(self) -> str:
        """`same`, `newly_allowed`, `newly_blocked`, or `changed` for another effect that passes, or stops it, alike."""
        if self.now is None or self.now.effect is self.was:
            return "same"
        passed, passes = self.was in PASSES, self.now.effect in PASSES
        if passed is passes:
            return "changed"
        return "newly_allowed" if passes else "newly_blocked"


@dataclass(frozen=True)
class Gates:
    """What recorded subjects are put before."""

    kind: TaskType
    candidate: CedarGate
    current: CedarGate
    """Tells what came of a verdict's surroundings from what its policies said."""


def again(gates: Gates, records: TaskRecords) -> list[Again]:
    """Every verdict of the task, those on its actions last: what the others attach now is behind them."""
    if is_erased(records.row):
        return [_missing(row, "erased") for row in records.verdicts]
    try:
        subjects = dict(subjects_of(gates.kind, records))
    except (KeyError, ValueError, TypeError):
        why = "erased" if _is_touched(records) else "changed"
        return [_missing(row, why) for row in records.verdicts]
    found: list[Again] = []
    attached: dict[str, tuple[str, ...]] = {}
    for row in (one for one in records.verdicts if one["hop"] != Hop.ARGUMENTS):
        one = _again(gates, row, _known(records, row, subjects))
        attached[row["key"]] = tuple(row["body"].get("obligations", ())) if one.now is None else one.now.obligations
        found.append(one)
    rows = [{**row, "body": {"obligations": attached.get(row["key"], ())}} for row in records.verdicts]
    for row in (one for one in records.verdicts if one["hop"] == Hop.ARGUMENTS):
        tainted = was_tainted(gates.kind, rows, str(row["subtask_id"]))
        found.append(_again(gates, row, _known(records, row, subjects), {"tainted": tainted}))
    return found


def _is_touched(records: TaskRecords) -> bool:
    """Whether what quoted an erased person was taken out of the task's records."""
    bodies = [one["body"] for one in (*records.proposals, *records.decisions.values())]
    return any("erased" in body for body in (*bodies, records.row["payload"]))


def _known(records: TaskRecords, row: Mapping[str, Any], subjects: Mapping[str, Subject]) -> Subject | str:
    """What the verdict was given on, or why that is not known."""
    body, subject = row["body"], subjects.get(row["key"])
    if is_blanked(records, row):
        return "erased"
    if body.get("modified"):
        return "redacted"
    if body.get("modified_by"):
        return "downgraded"
    if subject is not None:
        return subject
    return "withheld" if row["hop"] == Hop.RESPONSE else "not recorded"


def _again(gates: Gates, row: Mapping[str, Any], known: Subject | str, facts: Mapping[str, Any] | None = None) -> Again:
    """`facts`: what is otherwise now, because of what the candidate said before."""
    if isinstance(known, str):
        return _missing(row, known)
    was, body, subject = Effect(row["effect"]), row["body"], known
    findings = [Finding.model_validate(one) for one in body.get("findings", ())]
    now = gates.candidate.rule(subject, findings)
    if now.input_hash != body["input_hash"]:
        return _missing(row, "changed")
    if any(subject.facts[name] != value for name, value in (facts or {}).items()):
        subject = subject.model_copy(update={"facts": {**subject.facts, **(facts or {})}})
        now = gates.candidate.rule(subject, findings)
    if now.effect is not was and (why := _not_by_policy(gates, row, known, findings, now)):
        return _missing(row, why)
    policies = () if now.effect is was else tuple(_whose(gates.candidate, body, now))
    taint = now.tainted - (TAINT in body.get("obligations", ()))
    return Again(row["task_id"], row["key"], row["hop"], was, now, policies=policies, taint=taint)


def _not_by_policy(
    gates: Gates, row: Mapping[str, Any], subject: Subject, findings: Sequence[Finding], now: Verdict
) -> str:
    """Why the effect is another one, where that does not come of the candidate."""
    current = gates.current.rule(subject, findings)
    if row["policy_hash"] == current.policy_hash and current.effect != row["effect"]:
        return "stage"
    unreadable = not now.policy_ids and now.reasons != (UNPERMITTED,)
    return "changed" if unreadable and now.reasons == current.reasons else ""


def _missing(row: Mapping[str, Any], reason: str) -> Again:
    return Again(row["task_id"], row["key"], row["hop"], Effect(row["effect"]), None, missing=reason)


def _whose(gate: CedarGate, was: Mapping[str, Any], now: Verdict) -> Iterator[str]:
    """The policies that a change comes of: those that decide now or, where it is allowed, those that matched before."""
    if now.effect is Effect.ALLOW:
        # What no policy permitted is permitted now.
        yield from [name for name in was["policy_ids"] if name not in now.policy_ids] or now.policy_ids
        return
    deciding = [name for name in now.policy_ids if gate.policies.by_id[name].effect is now.effect]
    # What is denied by no policy at all says why: nothing permits it, or a policy could not be evaluated.
    yield from deciding or [f"({now.reasons[0].split(':')[0]})"]
