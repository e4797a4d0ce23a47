"""What has to hold after every history."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import text

from control_plane.services.audit import verify
from domain.action import ExecutorKind
from domain.approval import QUESTIONS
from tests.simulator.history import History, Said
from tests.simulator.pilot import REVIEW_FROM
from tests.simulator.world import Happened

UNDO = ":compensate"
_ROWS = {
    "task": "SELECT status, due, ended_at, lease_owner, answer FROM tasks WHERE id = :id",
    "episodes": "SELECT data ->> 'action' AS action, data ->> 'undone' AS undone FROM memories WHERE task_id = :id",
    "subtasks": "SELECT subtask_id, status, action FROM subtasks WHERE task_id = :id",
    "actions": "SELECT subtask_id, status, kind, attempts FROM actions WHERE task_id = :id",
    "decisions": "SELECT subtask_id, body -> 'option' ->> 'name' AS option FROM decisions WHERE task_id = :id",
    "events": "SELECT key, event, subtask_id FROM events WHERE task_id = :id ORDER BY seq",
    "questions": "SELECT subtask_id, cause, status FROM approvals WHERE task_id = :id",
    "forks": "SELECT thread_id, parent_checkpoint_id, count(*) FROM checkpoints WHERE thread_id = :id "
    "OR starts_with(thread_id, :id || '/') GROUP BY 1, 2 HAVING count(*) > 1",
    "turned": "SELECT c.thread_id FROM checkpoints c JOIN checkpoints p ON p.thread_id = c.thread_id AND "
    "p.checkpoint_id = c.parent_checkpoint_id WHERE (c.thread_id = :id OR starts_with(c.thread_id, :id || '/')) "
    "AND (c.metadata ->> 'fence')::int < (p.metadata ->> 'fence')::int",
    "stale": "SELECT key, fence, newer FROM (SELECT key, fence, max(fence) OVER (ORDER BY seq) AS newer FROM events "
    "WHERE task_id = :id) e WHERE fence < newer",
    "lost": "SELECT id, status FROM approvals WHERE task_id = :id AND status = 'open'",
}


async def broken(history: History) -> list[str]:
    """Each invariant that does not hold."""
    found: dict[str, list[Any]] = {}
    async with history.stage.engine.connect() as connection:
        for name, query in _ROWS.items():
            found[name] = list((await connection.execute(text(query), {"id": history.task_id})).all())
    audited = await verify(history.stage.engine, Path("/nowhere"), history.task_id, None)
    return [
        *history.wrong,
        *_effects(history),
        *_permissions(history, found),
        *_ends(history, found),
        *_records(history, found),
        *(f"audit: {problem.kind}: {problem.detail}" for problem in audited.problems),
    ]


def _effects(history: History) -> Iterator[str]:
    """At most one for each key; a `query` target is promised nothing once a sender stood still past its lease."""
    by_step: dict[str, list[Happened]] = {}
    for one in history.world.effects:
        by_step.setdefault(one.call.step, []).append(one)
    for step, some in by_step.items():
        kinds = {one.call.kind for one in some}
        excused = kinds == {ExecutorKind.QUERY} and (any(one.late for one in some) or history.duplicated)
        if len(some) > 1 and not excused:
            yield f"effects: {step} happened {len(some)} times ({', '.join(sorted(kinds))})"
        if len({(one.call.request.action, str(one.call.request.arguments)) for one in some}) > 1:
            yield f"effects: {step} happened as different actions"
    for call in history.world.calls:
        if call.cancelled and not call.step.endswith(UNDO):
            yield f"cancel: {call.step} was called after the cancel"


def _permissions(history: History, found: dict[str, list[Any]]) -> Iterator[str]:
    """No effect without the approval it needed, given before; and what happened is what was decided."""
    decided = {row.subtask_id: row.option for row in found["decisions"]}
    for one in history.world.effects:
        step = one.call.step
        if step.endswith(UNDO):
            continue
        if step not in decided:
            yield f"decision: {step} happened without one"
            continue
        before = (said for said in history.said if said.subtask_id == step and said.at < one.at)
        answers = _decisive(history, [said for said in before if said.cause not in QUESTIONS])
        if (history.payload["amount"] >= REVIEW_FROM or decided[step] is None) and not answers:
            yield f"approval: {step} happened without one"
        wanted = decided[step] or (answers[-1].option if answers else None)
        if one.call.request.action != wanted:
            yield f"decision: {step} happened as {one.call.request.action}, and {wanted} was decided"


def _decisive(history: History, said: list[Said]) -> list[Said]:
    """The last of as many equal approvals of one request as it asks for."""
    quorum = history.stage.catalog.task_type(history.shape).asks.quorum
    equal: dict[tuple[str, str | None], set[str]] = {}
    found = []
    for one in said:
        if one.status == "approved":
            equal.setdefault((one.approval, one.option), set()).add(one.principal)
            if len(equal[one.approval, one.option]) == quorum:
                found.append(one)
    return found


def _ends(history: History, found: dict[str, list[Any]]) -> Iterator[str]:
    """The records say of each action what the world did."""
    [task] = found["task"]
    if task.ended_at is not None and (task.due or task.lease_owner is not None):
        yield "lease: an ended task is due, or has an owner"
    for row in found["actions"]:
        did = history.world.did(row.subtask_id)
        if row.status == "done" and not did:
            yield f"ledger: {row.subtask_id} is done, and never happened"
        if row.status == "failed" and did:
            yield f"ledger: {row.subtask_id} has failed, and happened"
        if task.ended_at is not None and row.status in ("intent", "sending"):
            yield f"ledger: {row.subtask_id} is {row.status} at the task's end"
        if row.status == "unknown" and not any(one.subtask_id == row.subtask_id for one in found["questions"]):
            yield f"ledger: {row.subtask_id} is unknown, and nobody was asked"
    acted = {row.subtask_id for row in found["actions"]}
    for step in {one.call.step for one in history.world.effects} - acted:
        yield f"ledger: {step} happened, and has no row"
    if task.status == "done" and {row.status for row in found["subtasks"]} - {"done", "skipped"}:
        yield "end: done with subtasks that are not"
    if task.ended_at is not None and task.status not in ("done", "quarantined"):
        yield from _undone(history, found)


def _undone(history: History, found: dict[str, list[Any]]) -> Iterator[str]:
    """What was done and can be undone was undone, or a person was asked."""
    asked = {row.subtask_id for row in found["questions"]}
    done = {row.subtask_id for row in found["subtasks"] if row.status == "done"}
    for spec in history.stage.catalog.task_type(history.shape).plan.subtasks:
        undo = f"{spec.id}{UNDO}"
        if spec.id in done and spec.compensate is not None and not history.world.did(undo) and undo not in asked:
            yield f"undo: {spec.id} was done and not undone"
    kind = history.stage.catalog.task_type(history.shape)
    if kind.answer in done and history.world.did(f"{kind.answer}{UNDO}"):
        if found["task"][0].answer is not None:
            yield "undo: the task's answer was undone, and stands"
        if any(row.action is not None or row.undone is None for row in found["episodes"]):
            yield "undo: the episode does not say that it was undone"


def _records(history: History, found: dict[str, list[Any]]) -> Iterator[str]:
    """One decision and one end each; checkpoints in one line."""
    for event in ("report.done", "execute.done", "compensate.undone"):
        told = [(row.subtask_id, row.event) for row in found["events"] if row.event == event]
        if len(told) != len(set(told)):
            yield f"events: {event} stands twice"
    for row in found["stale"]:
        yield f"fence: {row.key} was written under fence {row.fence} when {row.newer} stood"
    if found["lost"] and found["task"][0].ended_at is not None:
        yield "approvals: one is open at the task's end"
    # Two runs of one claim have one fence: nothing tells them apart.
    if not history.duplicated:
        for row in found["forks"]:
            yield f"checkpoints: {row.thread_id.partition('/')[2] or 'the task'} forks"
    for row in found["turned"]:
        yield f"checkpoints: an older fence wrote after a newer in {row.thread_id.partition('/')[2] or 'the task'}"
