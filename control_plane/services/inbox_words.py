"""Why an answer was not taken, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.approval import ApprovalStatus
from domain.asking import Asks
from domain.task import END_STATES
from storage.repositories.inbox import Answer
from storage.repositories.listing import Row


def why_not(row: Row, given: Answer, task: Row, answers: Sequence[Row], holding: Mapping[str, Sequence[str]]) -> str:
    """The first thing that stood against it. `holding`: role -> who holds it."""
    name = f"approval {row['id']}"
    mine = next((one for one in answers if one["principal"] == given.principal), None)
    if row["status"] in (ApprovalStatus.APPROVED, ApprovalStatus.REFUSED):
        return f"{name} was already answered: {row['status']} by {row['answered_by']} at {_time(row['answered_at'])}"
    if row["status"] == ApprovalStatus.EXPIRED or row["late"]:
        return f"{name}: the answer is late: it expired at {_time(row['expires_at'])}"
    if task["status"] in END_STATES:
        return f"{name}: its task has ended ({task['status']}): nothing to answer"
    if task["cancel_requested"]:
        return f"{name}: its task was cancelled: nothing to answer"
    if row["submitter"] == given.principal:
        return f"{name}: {given.principal} submitted the task: somebody else has to answer"
    if mine is not None:
        return f"{name}: {given.principal} has already answered: {mine['answer']} at {_time(mine['at'])}"
    if row["digest"] != given.digest:
        return f"{name}: the digest is not that of what is shown now: read it again with `parley approvals`"
    return f"{name}: {_of_role(row, given, holding)}"


def _of_role(row: Row, given: Answer, holding: Mapping[str, Sequence[str]]) -> str:
    asks = Asks.model_validate(row["shown"].get("asks") or {"role": row["role"]})
    earlier = [role for role in asks.roles[: row["step"]] if given.principal in holding.get(role, ())]
    if not holding.get(given.role):
        return f"nobody holds the role {given.role}, and here it has to be held: parley role grant NAME {given.role}"
    if earlier:
        return f"the time of {earlier[-1]} is over: {given.role} is asked now, and {given.principal} is none"
    return f"{given.principal} does not hold the role {given.role}: {', '.join(holding[given.role])} can answer"


def _time(moment: Any) -> str:
    return str(moment.isoformat(timespec="seconds"))
