"""What is told of a task, from its chain, its events and its rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.audit import Entry, erased_json, erased_text
from domain.audit_found import Found, Problem
from domain.merkle import Head
from evaluation.governance.chained import Chained, end_of, person_spoke
from evaluation.governance.row import KINDS, Row
from evaluation.governance.tally import NO_POLICY, Tally
from evaluation.governance.told import TOLD, rows_of
from evaluation.governance.window import Window

AT = datetime(2026, 3, 4, tzinfo=UTC)
APPROVAL = {"id": "a1", "cause": "FIN-001", "role": "approver", "reason": "seen", "status": "approved"}
GIVEN = {"approval_id": "a1", "principal": "eve", "reason": "eve's own"}
VERDICT = {
    "key": "guard:s:first", "subtask_id": "s", "hop": "arguments", "effect": "deny", "policy_ids": ["P-1", "P-2"],
    "policy_hash": "h", "body": {"reasons": ["too much"], "findings": []}, "at": AT,
}  # fmt: skip


def found(*events: tuple[str, dict[str, Any]], verdict: dict[str, Any] | None = None, **more: Any) -> Found:
    """A task with these events after its submission, a minute apart, in a chain that speaks for its rows."""
    named = [("task.submitted", {}), *events]
    told = {
        f"k{at}": {"key": f"k{at}", "event": event, "subtask_id": "s", "data": data, "at": AT}
        for at, (event, data) in enumerate(named)
    }
    stated = {"verdicts": {VERDICT["key"]: "d"}} if verdict is not None else {}
    chain = [
        Entry("t", at + 1, AT + timedelta(minutes=at), event, f"k{at}", "w", 1, b"", b"", bytes([at]),
              {"rows": {**stated, "approvals": {"a1": "d"}} if at == 1 else {}})
        for at, (event, _) in enumerate(named)
    ]  # fmt: skip
    rows = {"approvals": [APPROVAL], "approval_answers": [GIVEN], "verdicts": [verdict] if verdict else [], **more}
    return Found("t", chain, Head("t", len(chain), b""), told, rows, {"task_type": "loan"})


def rows(task: Found, problems: list[Problem] | None = None, anchored: Head | None = None) -> list[Row]:
    chained = Chained(task, problems or [], anchored, anchors=anchored is not None)
    return sorted(rows_of(task, chained), key=lambda row: row.seq or 0)


ASKED = ("approve.asked", {"approval": "a1", "cause": "FIN-001"})
TELLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "approve.answered": (
        {"approval": "a1", "status": "approved", "answer": "approved", "option": "pay", "by": "bob", "role": "head"},
        {
            "kind": "approval_answered",
            "what": "FIN-001",
            "outcome": "approved: pay",
            "decided": "approved",
            "by": "bob",
            "role": "head",
            "reason": "seen",
        },
    ),
    "approve.counted": (
        {"approval": "a1", "answer": "refused", "by": "eve", "role": "head", "note": "role not assigned"},
        {
            "kind": "approval_answered",
            "outcome": "refused",
            "decided": "",
            "by": "eve",
            "role": "head (role not assigned)",
            "reason": "eve's own",
        },
    ),
    "approve.overridden": (
        {"approval": "a1", "status": "approved", "answer": "overridden", "by": "op", "overrides": ["P-1"]},
        {"kind": "override", "outcome": "overridden", "decided": "overridden", "policies": ("P-1",), "by": "op"},
    ),
    "role.granted": (
        {"principal": "eve", "role": "head", "by": "root", "reason": "joined"},
        {"kind": "role", "what": "head", "outcome": "granted to eve", "by": "root", "reason": "joined"},
    ),
    "approve.expired": ({"approval": "a1"}, {"kind": "approval_expired", "outcome": "denied", "role": "approver"}),
    "approve.escalated": (
        {"approval": "a1", "of": "clerk", "to": "head"},
        {"kind": "approval_escalated", "outcome": "to head", "role": "clerk"},
    ),
    "approve.defaulted": ({"approval": "a1", "option": "no"}, {"kind": "approval_defaulted", "outcome": "no"}),
    "approve.denied": ({"cause": "FIN-001"}, {"kind": "denial", "what": "FIN-001", "outcome": "deny"}),
    "guard.unanswered": ({"option": "pay"}, {"kind": "denial", "what": "pay", "outcome": "deny"}),
    "control.cancel": ({"by": "dan", "reason": "=why"}, {"kind": "control", "what": "cancel", "by": "dan"}),
    "run.quarantined": ({"reason": "ValueError: Jo Doe"}, {"kind": "control", "what": "quarantined", "reason": ""}),
    "execute.unknown": (
        {"error": "SendInDoubt: Jo Doe", "step": "s"},
        {"kind": "unknown_effect", "what": "s", "reason": "SendInDoubt"},
    ),
    "settle.taken": (
        {"approval": "a1", "step": "s", "done": True, "by": "bob", "said": "Jo Doe"},
        {"kind": "effect_settled", "outcome": "done", "by": "bob", "reason": "seen"},
    ),
    "compensate.failed": (
        {"error": "Rejected: Jo Doe", "step": "s:compensate"},
        {"kind": "compensation", "what": "failed", "outcome": "s:compensate", "reason": "Rejected"},
    ),
    "task.erased": ({"by": "dpo", "reason": "asked"}, {"kind": "erasure", "by": "dpo", "reason": "asked"}),
    "intake.denied": (
        {"denied": "Jo Doe is not a number", "effect": "allow"},
        {"kind": "denial", "what": "input", "reason": "the payload does not fit its schema"},
    ),
}


@pytest.mark.parametrize("event", TELLS)
def test_an_event_is_told_with_its_place(event: str) -> None:
    data, told = TELLS[event]
    row = rows(found(ASKED, (event, data)))[-1]
    assert {name: getattr(row, name) for name in told} == told
    assert (row.event, row.key, row.seq, row.hash, row.at) == (event, "k2", 3, "02", AT + timedelta(minutes=2))
    assert row.kind in KINDS
    # Of errors and payloads nothing is repeated.
    assert "Jo Doe" not in str(row)


@pytest.mark.parametrize("event", TOLD)
def test_whatever_stands_in_an_event_it_is_told(event: str) -> None:
    for data in ({}, [], None, "x", 7, {"approval": ["x"], "error": 7, "by": None, "to": 3}, erased_json({"a": 1})):
        for row in rows(found(ASKED, (event, data))):  # type: ignore[arg-type]
            assert row.kind in KINDS


def test_what_was_erased_is_shown_as_erased() -> None:
    answer = ("approve.answered", {"approval": "a1", "status": "refused", "by": "bob"})
    erased = {**APPROVAL, "reason": erased_text("Jo Doe")}
    assert [row.reason for row in rows(found(ASKED, answer, approvals=[erased]))] == ["", "erased"]
    left = erased_json({"by": "dan", "reason": "Jo Doe"}, {"by": "dan"})
    assert rows(found(ASKED, ("control.cancel", left)))[-1].reason == "erased"
    body = erased_json({"reasons": ["x"]}, {"hop": "arguments"})
    [row] = [one for one in rows(found(ASKED, verdict={**VERDICT, "body": body})) if one.kind == "verdict"]
    assert row.reason == "erased"


def test_how_long_an_answer_took() -> None:
    answer = ("approve.answered", {"approval": "a1", "status": "refused", "by": "bob"})
    assert rows(found(ASKED, ("x", {}), answer))[-1].waited == 120.0


def test_a_verdict_says_what_was_changed_before_it() -> None:
    told = [
        ({}, "allow", ("P-1", "P-2")),
        ({"modified_by": ["R-1"], "modified": "hash"}, "allow (redacted)", ("R-1", "P-1", "P-2")),
        ({"modified_by": ["D-1"], "modified": ""}, "allow (downgraded)", ("D-1", "P-1", "P-2")),
        ({"overridden": ["O-1"]}, "allow (overridden)", ("O-1", "P-1", "P-2")),
    ]
    for body, outcome, policies in told:
        [row] = rows(found(("x", {}), verdict={**VERDICT, "effect": "allow", "body": body}))
        assert (row.outcome, row.policies, row.seq) == (outcome, policies, 2)


def test_a_guard_that_failed_is_told_beside_the_verdict() -> None:
    findings = [{"guard_id": "pii", "error": "TimeoutError: Jo Doe"}, {"guard_id": "secrets", "error": None}, 7]
    [verdict, failed] = rows(found(("x", {}), verdict={**VERDICT, "body": {"findings": findings}}))
    assert (verdict.kind, failed.kind, failed.what, failed.outcome) == (
        "verdict", "guard_error", "pii", "TimeoutError",
    )  # fmt: skip
    broken = {**VERDICT, "policy_ids": [], "body": {"reasons": ["policy could not be evaluated: Jo Doe"]}}
    [failed, verdict] = rows(found(("x", {}), verdict=broken))
    assert (failed.what, failed.outcome, verdict.reason) == ("gate", *["policy could not be evaluated"] * 2)
    [alone] = rows(found(("x", {}), verdict={**broken, "body": {"reasons": ["no policy permits this"]}}))
    assert alone.kind == "verdict"


def test_a_verdict_that_is_gone_is_told() -> None:
    task = found(("x", {}), verdict=VERDICT)
    [row] = rows(task._replace(rows={}))
    assert (row.kind, row.outcome, row.ref, row.seq) == ("verdict", "gone", "guard:s:first", 2)


def test_where_a_row_stands_and_whether_that_holds() -> None:
    task = found(ASKED, ("control.cancel", {"by": "x"}))
    assert [row.chain for row in rows(task)] == ["holds", "holds"]
    assert [row.anchored for row in rows(task)] == [None, None]
    assert [row.anchored for row in rows(task, anchored=Head("t", 2, b""))] == [True, False]
    problems = [Problem("t", 2, "edited", "")]
    assert [row.chain for row in rows(task, problems)] == ["broken here", "broken"]
    outside = task._replace(events={**task.events, "z": {**task.events["k2"], "key": "z"}})
    assert {row.key: row.chain for row in rows(outside)}["z"] == "outside"
    unchained = task._replace(chain=[], head=None)
    assert {row.chain for row in rows(unchained)} == {"no chain"}


def test_undoing_nothing_is_not_told() -> None:
    frame = [("compensate.began", {"cause": "denied"}), ("compensate.done", {"undone": [], "not_undone": []})]
    assert rows(found(*frame)) == []
    assert [row.what for row in rows(found(frame[0]))] == ["began"]
    undone = ("compensate.done", {"undone": ["s:compensate"]})
    assert [row.what for row in rows(found(frame[0], undone))] == ["began", "done"]


def test_who_decided() -> None:
    answer = ("approve.answered", {"approval": "a1", "status": "approved", "by": "bob"})
    done = ("report.done", {"status": "done"})
    task = found(ASKED, answer, done)
    assert end_of(task, Chained(task, [], None, anchors=False)) == (AT + timedelta(minutes=3), "done")
    assert person_spoke(task)
    question = {**APPROVAL, "cause": "effect_unknown"}
    assert not person_spoke(found(ASKED, answer, approvals=[question]))
    assert not person_spoke(found(ASKED, done))


def test_a_denial_counts_once_for_the_policy_that_decided() -> None:
    tally = Tally(Window(until=AT + timedelta(days=1)))
    for policies in (("P-1", "P-2"), ("P-1",), ()):
        row = Row(kind="verdict", at=AT, task="t", type="loan", what="arguments", outcome="deny", policies=policies)
        tally.row(row)
        tally.row(row._replace(copied=True))
        tally.row(row._replace(outcome="require_approval"))
    summary = tally.summary("r", AT, None)
    assert summary.denials.by_policy == {"P-1": {"2026-03-04": 2}, NO_POLICY: {"2026-03-04": 1}}
    assert (summary.denials.total, summary.rows) == (3, 9)
    assert summary.verdicts == {"arguments": {"deny": 3, "require_approval": 3}}


def test_an_answer_that_nobody_knows_breaks_no_count() -> None:
    tally = Tally(Window(until=AT + timedelta(days=1)))
    given = {"outcome": "__init__", "decided": "__init__"}
    tally.row(Row(kind="approval_answered", at=AT, task="t", type="loan", by="eve", **given))  # type: ignore[arg-type]
    assert tally.summary("r", AT, None).approvals.by_person == {"eve": {"__init__": 1}}


def test_an_override_is_told_and_counted() -> None:
    data = {"approval": "a1", "by": "op", "answer": "overridden", "status": "approved"}
    given = {**GIVEN, "principal": "op", "reason": "the customer waits"}
    row = rows(found(ASKED, ("approve.overridden", data), approval_answers=[given]))[-1]
    assert (row.kind, row.by, row.reason, row.ref) == ("override", "op", "the customer waits", "a1")
    tally = Tally(Window(until=AT + timedelta(days=1)))
    tally.row(row)
    answers = tally.summary("r", AT, None).approvals
    assert (answers.overridden, answers.by_person) == (1, {"op": {"overridden": 1}})


def test_each_of_several_answers_is_a_persons_and_the_last_decides() -> None:
    said = [("approved", ""), ("refused", ""), ("approved", "approved")]
    tally = Tally(Window(until=AT + timedelta(days=1)))
    for number, (answer, status) in enumerate(said):
        data = {"approval": "a1", "answer": answer, "by": f"p{number}", **({"status": status} if status else {})}
        event = "approve.answered" if status else "approve.counted"
        tally.row(rows(found(ASKED, (event, data)))[-1])
    answers = tally.summary("r", AT, None).approvals
    assert (answers.approved, answers.refused, answers.answered_in) == (1, 0, 1)
    assert answers.by_person == {"p0": {"approved": 1}, "p1": {"refused": 1}, "p2": {"approved": 1}}
