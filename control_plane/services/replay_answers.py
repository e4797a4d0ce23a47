"""Every request decided once more by the answers that people gave to it."""

from typing import Any

from control_plane.services.inbox import asks_of
from control_plane.services.replay_checks import Check, Material, compared
from domain.approval import ApprovalStatus
from domain.asking import Voice, decide
from storage.repositories.inbox import as_given
from storage.repositories.listing import Row


def check_answers(material: Material) -> Check | None:
    """How each request was decided, and by whom; None where nobody was asked or answers were not kept by person."""
    records = material.records
    was: dict[str, Any] = {}
    now: dict[str, Any] = {}
    for row in records.approvals:
        answers = [one for one in records.answers if one["approval_id"] == row["id"]]
        if answers:
            was[row["id"]] = [row["status"], row["option"], row["answered_by"]]
            now[row["id"]] = _decided(row, answers)
    return compared("approve", was, now) if was else None


def _decided(row: Row, answers: list[Row]) -> list[str | None]:
    asks = asks_of(row)
    for number, last in enumerate(answers, 1):
        outcome = decide(asks, [as_given(one) for one in answers[:number]])
        if outcome is Voice.REFUSED:
            return [ApprovalStatus.REFUSED.value, None, last["principal"]]
        if outcome is not None:
            return [ApprovalStatus.APPROVED.value, last["option"], last["principal"]]
    # Too few to decide: its time ran out, or its task ended.
    return [ApprovalStatus.EXPIRED.value, row["option"], None]
