"""What a persona is shown of the others."""

import json

from domain.proposal import Evidence, Proposal
from negotiation.rounds import table_for


def rounds(vote, names=("risk_analyst", "customer_advocate", "auditor")):
    one, two, three = names
    income = Evidence(id="field:income", field="income", value=10, note=f"{one} says low")
    age = Evidence(id="fact:a", note="seen")
    return [
        [
            vote(one, "decline", 0.9, evidence=(income,), rationale=f"as {one} I doubt {two}"),
            vote(two, "approve", 0.7, evidence=(age, income.model_copy(update={"note": "fine"}))),
            vote(three, "approve", 0.6, evidence=(income,), rationale="own"),
        ]
    ]


def test_no_persona_id_is_shown(vote):
    table = table_for("auditor", rounds(vote))
    text = json.dumps([table.shared, table.others])
    assert "risk_analyst" not in text
    assert "customer_advocate" not in text
    assert "as panelist" in text


def test_evidence_is_shown_once_per_id_in_order(vote):
    table = table_for("auditor", rounds(vote))
    assert [item["id"] for item in table.shared] == ["fact:a", "field:income"]
    assert {frozenset(item) for item in table.shared} == {frozenset({"id", "field", "value", "note", "source"})}
    assert {item["source"] for item in table.shared} <= {"panelist A", "panelist B"}


def test_own_proposal_stays_apart(vote):
    table = table_for("auditor", rounds(vote))
    assert table.own_previous is not None
    assert (table.own_previous["persona"], table.own_previous["rationale"]) == ("auditor", "own")
    assert len(table.others) == 2
    assert "own" not in [item["rationale"] for item in table.others]
    assert {frozenset(item) for item in table.others} == {frozenset({"option", "confidence", "rationale"})}


def test_names_and_arrival_leave_no_trace(vote):
    plain = rounds(vote, ("x", "y", "auditor"))
    renamed = [[p.model_copy(update={"persona": {"x": "y", "y": "x"}.get(p.persona, p.persona)}) for p in plain[0]]]
    expected = table_for("auditor", plain)
    assert table_for("auditor", renamed) == expected
    assert table_for("auditor", [plain[0][::-1]]) == expected


def test_labels_stay_with_their_persona(vote):
    first = rounds(vote)[0]
    again = [
        p.model_copy(update={"round": 1, "rationale": "new", "evidence": (Evidence(id=f"fact:{p.persona[:1]}1"),)})
        for p in first
    ]
    before = {item["id"]: item["source"] for item in table_for("auditor", [first]).shared}
    after = {item["id"]: item["source"] for item in table_for("auditor", [first, again]).shared}
    assert after["fact:a"] == before["fact:a"] == after["fact:c1"]
    assert after["fact:r1"] != after["fact:c1"]


def test_rejected_votes_are_not_shown(vote):
    broken = Proposal.model_construct(**{**dict(vote("bob", "approve")), "confidence": float("nan")})
    table = table_for("ann", [[vote("ann", "approve"), broken, vote("cyd", "approve"), vote("cyd", "decline")]])
    assert (table.shared, table.others) == ((), ())


def test_before_the_first_round_the_table_is_empty():
    table = table_for("ann", [])
    assert (table.shared, table.others, table.own_previous) == ((), (), None)
