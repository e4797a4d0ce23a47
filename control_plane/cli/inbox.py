"""The human inbox: approvals, approve, refuse."""

from typing import Annotated, Any

import typer

from control_plane.cli.options import As, Json
from control_plane.cli.output import as_text, emit_json, say
from control_plane.cli.session import principal, with_engine

Id = Annotated[str, typer.Argument(metavar="ID", help="An approval's id, or a task's when just one is open.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the answer.")]
Digest = Annotated[str | None, typer.Option(help="Digest of what you were shown; refused if anything changed since.")]


def approvals(as_json: Json = False) -> None:
    """List what waits for a person, the most urgent first.

    Example: parley approvals
    """
    from control_plane.services import inbox

    found = with_engine(inbox.open_approvals)
    if as_json:
        emit_json({"approvals": found})
        return
    for row in found:
        _describe(row)
    say(f"{len(found)} open")
    if found:
        say("answer with: parley approve ID --reason TEXT, or parley refuse ID --reason TEXT")
        say("what became of an action: parley approve ID --action done|not_done --reason TEXT")


def _describe(row: dict[str, Any]) -> None:
    shown = row["shown"]
    say(f"{row['id']}  {row['cause']}  expires {row['expires_at']:%Y-%m-%d %H:%M}")
    say(f"  task {row['task_id']}, {row['subtask_id']}: {as_text(shown.get('question', ''))}")
    options = as_text(list(shown.get("options", ())))
    asked = f"to {as_text(shown['action'])}" if shown.get("action") else f"choose one of {options}"
    say(f"  asked: {asked}. {as_text(shown.get('reason', ''))}")
    for name in ("sent", "arguments", "reasons", "tally", "payload"):
        if shown.get(name):
            say(f"  {name}: {as_text(shown[name])}")
    say(f"  digest: {row['digest']}\n")


def approve(
    id: Id,
    reason: Reason,
    action: Annotated[str | None, typer.Option(help="The action to take; required where the panel had none.")] = None,
    digest: Digest = None,
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Approve what waits; where the panel did not decide, choose the action.

    Example: parley approve 0198c1f2-... --action decline --reason "income not shown"
    """
    from control_plane.services import inbox

    who = principal(as_)
    answered = with_engine(
        lambda engine: inbox.approve(engine, id, principal=who, reason=reason, action=action, digest=digest)
    )
    _report(answered, as_json)


def refuse(id: Id, reason: Reason, digest: Digest = None, as_: As = None, as_json: Json = False) -> None:
    """Refuse what waits: the action is not taken.

    Example: parley refuse 0198c1f2-... --reason "over our limit"
    """
    from control_plane.services import inbox

    who = principal(as_)
    answered = with_engine(lambda engine: inbox.refuse(engine, id, principal=who, reason=reason, digest=digest))
    _report(answered, as_json)


def _report(answered: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json(answered)
        return
    chosen = f" ({answered['option']})" if answered["option"] else ""
    say(f"{answered['status']}{chosen} by {as_text(answered['answered_by'])}; task {answered['task_id']} goes on")


COMMANDS = (approvals, approve, refuse)
