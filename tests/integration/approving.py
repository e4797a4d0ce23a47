"""A pilot of one step whose action people are asked about, and ways to answer for it."""

from pathlib import Path
from typing import Any

import yaml

from control_plane.services import inbox, roles
from control_plane.services.inbox import Said, respond
from domain.task import TaskStatus
from tests.integration.acting import Acting, write_steps
from tests.integration.five_subtasks import POLICIES

UNDECIDED = {"name": "plurality", "certify": {}, "safe_default": "uncovered"}
"""Nothing is certified, so a person is asked to choose."""
DECIDED = {"name": "plurality", "safe_default": "uncovered"}
ASKS = """
@id("ASK-001")
@effect("require_approval")
@reason("A person looks at it")
@owner("claims")
forbid (principal, action == Action::"arguments", resource)
when { context.action == "covered" && !context.approved };
"""
NEVER_EDITED = """
@id("EDIT-001")
@effect("deny")
@reason("Not with a share of their own making")
@owner("claims")
forbid (principal, action == Action::"arguments", resource)
when { context.edited };
"""


def overridable(name: str, condition: str, *, role: str | None = "operator", effect: str = "deny") -> str:
    """A policy that denies, which somebody in the role may put aside."""
    override = f'@override("{role}")' if role else ""
    return f"""
@id("{name}")
@effect("{effect}")
{override}
@reason("{name} says no")
@owner("claims")
forbid (principal, action == Action::"arguments", resource)
when {{ {condition} }};
"""


def write_asked(
    root: Path,
    approvals: dict[str, Any] | None = None,
    *,
    policies: str = ASKS,
    strategy: dict[str, Any] = DECIDED,
    sla: dict[str, Any] | None = None,
    **step: Any,
) -> Path:
    """The catalog's folder: `covered` may have its `share` and `note` edited, `uncovered` nothing."""
    actions = [{"name": "covered", "counter_arguments": ["share", "note"]}, {"name": "uncovered"}]
    steps = {"only": {"executor": "record_decision", "strategy": strategy, "actions": actions, **step}}
    catalog = write_steps(root, steps, sla={"deadline": "PT15M", **(sla or {})}, approvals=approvals or {})
    (catalog / "claim" / "policies.cedar").write_text(POLICIES + policies)
    return catalog


def change_type(catalog: Path, **changes: Any) -> None:
    """Write other values at the root of the task type."""
    file = catalog / "claim" / "task_type.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))


async def parked(stage: Acting) -> str:
    """A task that waits for people."""
    task_id = await stage.submit()
    assert await stage.run(task_id) is TaskStatus.PARKED
    return task_id


async def say(stage: Acting, task_id: str, who: str, word: str = "approve", **more: Any) -> Any:
    """One answer."""
    return await respond(stage.runtime.engine, task_id, word, Said(who, f"{who} looked", **more))


async def holds(stage: Acting, *given: tuple[str, str]) -> None:
    """Give (name, role) pairs their roles."""
    known = roles.known_roles(stage.runtime.catalog)
    for name, role in given:
        await roles.grant(stage.runtime.engine, known, name, role, by="root", reason="test")


async def open_one(stage: Acting, task_id: str) -> dict[str, Any]:
    """The task's open request, as the inbox shows it."""
    [found] = [row for row in await inbox.open_approvals(stage.runtime.engine) if row["task_id"] == task_id]
    return found


async def event(stage: Acting, task_id: str, name: str) -> dict[str, Any]:
    """What the task's newest event of that name says."""
    sql = f"SELECT data FROM events WHERE task_id = :id AND event = '{name}' ORDER BY seq DESC LIMIT 1"
    return dict((await stage.rows(sql, task_id))[0][0])


async def subtask(stage: Acting, task_id: str) -> tuple[Any, ...]:
    """Status, action and reason of the only subtask."""
    return (await stage.rows("SELECT status, action, reason FROM subtasks WHERE task_id = :id", task_id))[0]
