"""A task as it was found, told as rows of the governance report."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from domain.audit import is_erased
from domain.audit_found import Found
from domain.guard import Effect, Hop
from evaluation.governance.chained import Chained, Fields, answer_of, approval_of, as_mapping, as_texts, class_of
from evaluation.governance.judged import DENYING, verdicts_of
from evaluation.governance.row import ERASED, Row

OVERRIDDEN = "approve.overridden"


class Happened(NamedTuple):
    """An event, with its entry where it has one."""

    event: str
    key: str
    at: datetime | None
    subtask: str
    data: Mapping[str, Any]


def rows_of(found: Found, chained: Chained) -> Iterator[Row]:
    """Everything that a governance report says of the task, in no particular order."""
    base: Fields = {"at": None, "task": found.task_id, "type": str(found.task["task_type"]) if found.task else ""}
    for given in (*verdicts_of(found, chained), *_events(found, chained)):
        yield Row(**{**base, **given})


def _events(found: Found, chained: Chained) -> Iterator[Fields]:
    for key, event in found.events.items():
        tell = TOLD.get(event["event"])
        if tell is None:
            continue
        entry = chained.entries.get(key)
        at = entry.at if entry is not None else event.get("at")
        happened = Happened(event["event"], key, at, event["subtask_id"] or "", as_mapping(event["data"]))
        fields = tell(found, chained, happened)
        if fields is not None:
            outside = {"at": at, "event": happened.event, "key": key}
            yield {**outside, "subtask": happened.subtask, **fields, **chained.place(entry)}


def words(data: Mapping[str, Any], name: str) -> str:
    """A person's words in an event's data; erased ones are said to be so."""
    return ERASED if data.get(name) is None and is_erased(data) else said(data.get(name))


def said(text: Any) -> str:
    """A person's words; erased ones are said to be so."""
    return "" if text is None else ERASED if is_erased(text) else str(text)


def _asked(found: Found, _: Chained, happened: Happened) -> Fields:
    approval_id = happened.data.get("approval")
    row = approval_of(found, approval_id)
    return {
        "kind": "approval_asked",
        "what": str(happened.data.get("cause") or row.get("cause") or ""),
        "role": row.get("role") or "",
        "ref": str(approval_id),
    }


def _answered(found: Found, chained: Chained, happened: Happened) -> Fields:
    data, approval_id = happened.data, happened.data.get("approval")
    row = approval_of(found, approval_id)
    # Before several people could answer, the request itself held the one answer.
    given = answer_of(found, approval_id, data.get("by")) or row
    status, voice = str(data.get("status") or ""), str(data.get("answer") or data.get("status") or "")
    overridden = happened.event == OVERRIDDEN
    chosen = "".join([f": {data['option']}" if data.get("option") else "", ", edited" if data.get("edited") else ""])
    return {
        "kind": "override" if overridden else "approval_answered",
        "what": str(row.get("cause") or ""),
        "outcome": f"{voice}{chosen}",
        "decided": "overridden" if overridden else status,
        "policies": tuple(as_texts(data.get("overrides"))),
        "by": str(data.get("by") or ""),
        "role": _role(data, row),
        "reason": said(given.get("reason")),
        "waited": _waited(chained, approval_id, happened.at),
        "ref": str(approval_id),
    }


def _role(data: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """In which somebody answered, and whether anybody was given it."""
    role = str(data.get("role") or row.get("role") or "")
    return f"{role} ({data['note']})" if data.get("note") else role


def _waited(chained: Chained, approval_id: Any, at: datetime | None) -> float | None:
    entry = chained.stated.get(("approvals", str(approval_id)))
    return None if entry is None or at is None else (at - entry.at).total_seconds()


def _unanswered(kind: str) -> Callable[[Found, Chained, Happened], Fields]:
    def tell(found: Found, _: Chained, happened: Happened) -> Fields:
        data = happened.data
        row = approval_of(found, data.get("approval"))
        outcome = data.get("option") or (f"to {data['to']}" if data.get("to") else "denied")
        return {
            "kind": kind,
            "what": str(row.get("cause") or ""),
            "outcome": str(outcome),
            "role": str(data.get("of") or row.get("role") or ""),
            "ref": str(data.get("approval")),
        }

    return tell


def _denial(why: str) -> Callable[[Found, Chained, Happened], Fields]:
    def tell(_: Found, __: Chained, happened: Happened) -> Fields:
        what = happened.data.get("cause") or happened.data.get("option") or ""
        return {"kind": "denial", "what": str(what), "outcome": Effect.DENY.value, "reason": why}

    return tell


def _at_the_door(found: Found, _: Chained, happened: Happened) -> Fields | None:
    """Denied though its verdict does not say so: by the schema, or by an effect that the door does not know."""
    effect = str(happened.data.get("effect"))
    if effect in DENYING:
        return None
    verdict = next((row for row in found.rows.get("verdicts", ()) if row["key"] == "intake"), None)
    fits = effect != Effect.ALLOW.value
    return {
        "kind": "denial",
        "what": Hop.INPUT.value,
        "outcome": Effect.DENY.value,
        "policies": tuple(as_texts(verdict["policy_ids"])) if fits and verdict else (),
        "reason": f"at the door {effect} denies" if fits else "the payload does not fit its schema",
    }


def _control(_: Found, __: Chained, happened: Happened) -> Fields:
    quarantined = happened.event == "run.quarantined"
    return {
        "kind": "control",
        "what": happened.event.rpartition(".")[2],
        "by": "" if quarantined else str(happened.data.get("by") or ""),
        "reason": "" if quarantined else words(happened.data, "reason"),
    }


def _compensation(found: Found, _: Chained, happened: Happened) -> Fields | None:
    data = happened.data
    if happened.event in _FRAME and not _anything_undone(found):
        return None
    return {
        "kind": "compensation",
        "what": happened.event.rpartition(".")[2],
        "outcome": str(data.get("step") or data.get("cause") or ""),
        "reason": class_of(data["error"]) if data.get("error") else "",
    }


_FRAME = frozenset({"compensate.began", "compensate.done"})


def _anything_undone(found: Found) -> bool:
    """Whether there was, or may yet be, something to undo: every denied task goes through here."""
    ends = [as_mapping(event["data"]) for event in found.events.values() if event["event"] == "compensate.done"]
    return not ends or any(data.get("undone") or data.get("not_undone") for data in ends)


def _unknown(_: Found, __: Chained, happened: Happened) -> Fields:
    error = happened.data.get("error")
    reason = class_of(error) if error else ERASED if is_erased(happened.data) else ""
    return {"kind": "unknown_effect", "what": str(happened.data.get("step") or ""), "reason": reason}


def _settled(found: Found, chained: Chained, happened: Happened) -> Fields:
    data = happened.data
    row = approval_of(found, data.get("approval"))
    by = str(data.get("by") or "")
    return {
        "kind": "effect_settled",
        "what": str(data.get("step") or ""),
        "outcome": "done" if data.get("done") else "not done" if by else "not done: no answer came",
        "by": by,
        "role": row.get("role") or "",
        "reason": said(row.get("reason")),
        "waited": _waited(chained, data.get("approval"), happened.at) if by else None,
        "ref": str(data.get("approval")),
    }


def _erasure(_: Found, __: Chained, happened: Happened) -> Fields:
    by = str(happened.data.get("by") or "")
    return {"kind": "erasure", "by": by, "reason": words(happened.data, "reason")}


def _role_change(_: Found, __: Chained, happened: Happened) -> Fields:
    data, granted = happened.data, happened.event == "role.granted"
    return {
        "kind": "role",
        "what": str(data.get("role") or ""),
        "outcome": f"{'granted to' if granted else 'revoked from'} {data.get('principal')}",
        "by": str(data.get("by") or ""),
        "reason": words(data, "reason"),
    }


TOLD: Mapping[str, Callable[[Found, Chained, Happened], Fields | None]] = {
    "intake.denied": _at_the_door,
    "guard.unanswered": _denial("no answer came in time, and policy asks a person"),
    "approve.denied": _denial("a person approved exactly this, and policy still asks"),
    "approve.asked": _asked,
    "settle.asked": _asked,
    "approve.answered": _answered,
    "approve.expired": _unanswered("approval_expired"),
    "approve.escalated": _unanswered("approval_escalated"),
    "approve.defaulted": _unanswered("approval_defaulted"),
    "approve.counted": _answered,
    OVERRIDDEN: _answered,
    "role.granted": _role_change,
    "role.revoked": _role_change,
    "control.cancel": _control,
    "control.pause": _control,
    "control.resume": _control,
    "run.quarantined": _control,
    "compensate.began": _compensation,
    "compensate.undone": _compensation,
    "compensate.failed": _compensation,
    "compensate.done": _compensation,
    "execute.unknown": _unknown,
    "settle.taken": _settled,
    "task.erased": _erasure,
}
"""Event -> how it is told. What a run writes when it takes an answer repeats it, and is not told again."""
