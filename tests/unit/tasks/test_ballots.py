"""What the guards see of a proposal: everything that others are shown of it."""

from domain.canonical import canonical_json
from domain.proposal import Evidence, Option, Proposal
from negotiation.rounds import table_for
from tasks.ballots import proposal_subject

OPTIONS = (Option(name="pay", action="pay"),)


def _proposal() -> Proposal:
    return Proposal(
        persona="clerk_a",
        persona_version=1,
        round=0,
        option="pay",
        confidence=0.9,
        rationale="WORD-rationale",
        reasons=("WORD-reason",),
        evidence=(
            Evidence(id="note:WORD-id", field="WORD-field", value="WORD-value", note="WORD-note"),
            Evidence(id="field:amount", field="amount", value=12.5),
        ),
        named_error="WORD-error",
        counter=Option(name="WORD-counter", action="pay", arguments={"to": "WORD-argument"}),
    )


def test_filters_read_every_text_that_the_others_are_shown() -> None:
    proposal = _proposal()
    text = proposal_subject("settle", proposal, OPTIONS).text
    table = table_for("clerk_b", [[proposal]])
    shown = canonical_json([table.shared, table.others, proposal.counter.model_dump() if proposal.counter else None])
    words = {part.split('"')[0] for part in shown.split("WORD-")[1:]}
    assert words == {"id", "field", "value", "note", "rationale", "counter", "argument"}
    assert all(f"WORD-{word}" in text for word in (*words, "reason", "error"))


def test_a_number_is_no_text() -> None:
    assert "12.5" not in proposal_subject("settle", _proposal(), OPTIONS).text
