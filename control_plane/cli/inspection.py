"""Reading commands: tasks, show, explain, events."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_plane.cli.options import Json, Limit
from control_plane.cli.output import as_text, console, emit_json, say, table
from control_plane.cli.session import with_engine

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="A task's id.")]


def tasks(
    status: Annotated[str | None, typer.Option(help="submitted, running, parked, done, denied, failed, ...")] = None,
    task_type: Annotated[str | None, typer.Option("--type", help="A task type.")] = None,
    since: Annotated[str | None, typer.Option(help="2026-01-31, 2026-01-31T12:00Z, or an age: 90m, 24h, 7d.")] = None,
    batch: Annotated[str | None, typer.Option(help="A batch's id.")] = None,
    to_audit: Annotated[
        bool, typer.Option("--to-audit", help="Decided alone and drawn for an audit: record what was right.")
    ] = False,
    cursor: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List tasks, newest first.

    Example: parley tasks --status parked --type credit_review --since 24h

    Example: parley tasks --to-audit, then parley outcome TASK LABEL
    """
    from control_plane.services import listing
    from storage.repositories.listing import TaskFilter

    wanted = TaskFilter(status, task_type, listing.parse_since(since) if since else None, batch, to_audit)
    page = with_engine(lambda engine: listing.list_tasks(engine, wanted, cursor, limit))
    if as_json:
        emit_json({"tasks": page.tasks, "next": page.next})
        return
    columns = ("id", "task_type", "status", "answer", "case_key", "principal", "created_at")
    table(columns, ([row[name] for name in columns] for row in page.tasks))
    if page.next is not None:
        say(f"more: --cursor {page.next}")


def show(task: TaskId, as_json: Json = False) -> None:
    """Show one task: subtasks, decisions, proposals, verdicts, approvals, actions, outcome.

    Example: parley show 0198c1f2-...
    """
    from control_plane.services import listing

    found = with_engine(lambda engine: listing.show_task(engine, task))
    if as_json:
        emit_json(found)
        return
    _show(found)


_SHOWN = {
    "subtasks": ("subtask_id", "status", "action", "reason"),
    "decisions": ("subtask_id", "kind", "option", "strategy", "margin", "rounds"),
    "proposals": ("persona", "subtask_id", "round", "option", "confidence", "struck"),
    "verdicts": ("key", "hop", "effect", "policy_ids"),
    "approvals": ("id", "subtask_id", "cause", "status", "option", "answered_by", "reason", "expires_at"),
    "approval_answers": ("approval_id", "principal", "role", "answer", "option", "arguments", "reason"),
    "actions": ("subtask_id", "executor", "status", "attempts", "response", "error"),
    "forks": ("id", "fork_stage", "dry_run", "status", "answer"),
}


def _show(found: dict[str, Any]) -> None:
    names = ("id", "task_type", "status", "answer", "reason", "principal", "lane", "batch_id", "case_key")
    times = ("created_at", "started_at", "ended_at", "deadline_at")
    table(("task", ""), ((name, found["task"][name]) for name in (*names, *times, "payload")))
    if found["task"]["forked_from"] is not None:
        tried = ", its actions a dry run" if found["task"]["dry_run"] else ""
        say(f"forked from {found['task']['forked_from']} at {found['task']['fork_stage']}{tried}")
    if set(found["task"]["payload"]) == {"erased"}:
        say("erased: the person's data was taken out; ids, statuses and digests are left")
    for part, columns in _SHOWN.items():
        if found[part]:
            say("")
            table(columns, ([row[name] for name in columns] for row in found[part]), title=part)
    say("")
    outcome = found["outcome"]
    if outcome:
        say(f"outcome: {as_text(outcome['label'])}, so {as_text(outcome['right_action'])} was right")
    else:
        say("outcome: not yet known")


def explain(task: TaskId, as_json: Json = False) -> None:
    """Say why a task was decided so: every vote, its weight, the dissent, the rule, and what was done.

    Example: parley explain 0198c1f2-...
    """
    from control_plane.services import listing

    found = with_engine(lambda engine: listing.explain_task(engine, task))
    if as_json:
        emit_json({"task_id": task, "decisions": found})
        return
    from rich.markdown import Markdown

    from negotiation.explanation import as_markdown

    for decision in found:
        console().print(Markdown(as_markdown(decision["explanation"])))
        if decision["acted"]:
            columns = ("step", "executor", "status", "attempts", "error")
            table(columns, ([row[name] for name in columns] for row in decision["acted"]), title="acted")


def events(
    task: TaskId,
    after: Annotated[int, typer.Option(min=0, help="Only events behind this sequence number.")] = 0,
    limit: Limit = 200,
    as_json: Json = False,
) -> None:
    """List a task's events in order.

    Example: parley events 0198c1f2-... --after 120
    """
    from control_plane.services import listing

    async def read(engine: "AsyncEngine") -> listing.EventPage:
        return await listing.list_events(engine, task, after, limit)

    page = with_engine(read)
    if as_json:
        emit_json({"task_id": task, "events": page.events, "next": page.next})
        return
    columns = ("seq", "at", "event", "subtask_id", "fence", "data")
    table(columns, ([row[name] for name in columns] for row in page.events))
    if page.next is not None:
        say(f"more: --after {page.next}")


COMMANDS = (tasks, show, explain, events)
