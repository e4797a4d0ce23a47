"""Verdicts as rows, and the guards that failed in them."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.audit import is_erased
from domain.audit_found import Found
from domain.guard import Effect
from evaluation.governance.chained import Chained, Fields, as_mapping, as_texts, class_of
from evaluation.governance.row import ERASED, GONE

DENYING = frozenset({Effect.DENY.value, Effect.HALT.value})
NOT_PERMITTED = "no policy permits this"
FORKED = "fork.created"


def verdicts_of(found: Found, chained: Chained) -> Iterator[Fields]:
    """The task's verdicts, those too that the chain speaks of and that are gone."""
    keys = set()
    for row in found.rows.get("verdicts", ()):
        keys.add(row["key"])
        entry = chained.stated.get(("verdicts", row["key"]))
        body = as_mapping(row["body"])
        reasons = as_texts(body.get("reasons"))
        fields = {
            "at": row.get("at"),
            "subtask": row["subtask_id"] or "",
            "policies": (*_set_aside(body), *as_texts(row["policy_ids"])),
            "policy_hash": row["policy_hash"],
            "ref": row["key"],
            "copied": entry is not None and entry.event == FORKED,
            **chained.place(entry),
        }
        reason = ERASED if is_erased(body) and "reasons" not in body else "; ".join(reasons)
        broke = row["effect"] in DENYING and not row["policy_ids"] and reasons not in ([], [NOT_PERMITTED])
        if broke:
            # What Cedar says of an error may quote the value that it failed on.
            reason = reasons[0].partition(":")[0]
            yield {**fields, "kind": "guard_error", "what": "gate", "outcome": reason}
        outcome = _outcome(row["effect"], body)
        yield {**fields, "kind": "verdict", "what": row["hop"], "outcome": outcome, "reason": reason}
        findings = body.get("findings")
        for finding in map(as_mapping, findings if isinstance(findings, list) else ()):
            if finding.get("error"):
                told = {"what": str(finding.get("guard_id")), "outcome": class_of(finding["error"])}
                yield {**fields, "kind": "guard_error", **told}
    for (kind, key), entry in chained.stated.items():
        if kind == "verdicts" and key not in keys:
            yield {"kind": "verdict", "outcome": GONE, "ref": key, **chained.place(entry)}


def _outcome(effect: str, body: Mapping[str, Any]) -> str:
    """The effect, and what was set aside or changed before it."""
    found = ["overridden"] if body.get("overridden") else []
    if body.get("modified_by"):
        found.append("redacted" if body.get("modified") else "downgraded")
    return f"{effect} ({', '.join(found)})" if found else effect


def _set_aside(body: Mapping[str, Any]) -> list[str]:
    """The policies that were overridden, and those for whose sake something was changed."""
    return [*as_texts(body.get("overridden")), *as_texts(body.get("modified_by"))]
