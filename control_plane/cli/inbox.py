"""The human inbox: approvals, approve, refuse, override."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from control_plane.cli.options import As, Json
from control_plane.cli.output import as_text, emit_json, say, table
from control_plane.cli.session import catalog, principal, settings, with_engine

Id = Annotated[str, typer.Argument(metavar="ID", help="An approval's id, or a task's when just one is open.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the answer.")]
Digest = Annotated[str | None, typer.Option(help="Digest of what you were shown; refused if anything changed since.")]
Action = Annotated[str | None, typer.Option(help="The action to take; required where the panel had none.")]


def approvals(
    diff: Annotated[
        str | None, typer.Option("--diff", metavar="ID", help="What has changed since this request was made.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what waits for a person, the most urgent first: who is asked, and what was answered so far.

    Example: parley approvals

    Example: parley approvals --diff 0198c1f2-...
    """
    from control_plane.services import inbox

    if diff is not None:
        _diff(diff, as_json)
        return
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
    if any(row["asked"]["overrides"] for row in found):
        say("what policy denies: parley override ID --reason TEXT, by the role that is asked")


def _diff(given_id: str, as_json: bool) -> None:
    from control_plane.services.inbox_diff import diff

    known = catalog(settings())
    found = with_engine(lambda engine: diff(engine, known, given_id))
    if as_json:
        emit_json({**found.model_dump(), "same": found.same})
        return
    if found.same:
        say(f"{found.approval}: nothing has changed since it was asked")
        return
    table(("field", "shown", "now"), ((one.field, one.shown, one.now) for one in found.changes))
    say(f"{found.approval}: an answer to what was shown does not stand for what is true now: it will be asked anew")


def _describe(row: dict[str, Any]) -> None:
    from domain.approval import DRY_RUN

    shown = row["shown"]
    say(f"{row['id']}  {row['cause']}  expires {row['expires_at']:%Y-%m-%d %H:%M}")
    say(f"  task {row['task_id']}, {row['subtask_id']}: {as_text(shown.get('question', ''))}")
    if row["dry_run"]:
        say(f"  a dry run: {DRY_RUN}")
    options = as_text(list(shown.get("options", ())))
    asked = f"to {as_text(shown['action'])}" if shown.get("action") else f"choose one of {options}"
    say(f"  asked: {asked}. {as_text(shown.get('reason', ''))}")
    say(f"  of: {_of(row)}")
    if row["asked"]["overrides"]:
        say(f"  denied by: {as_text(row['asked']['overrides'])}: {as_text(shown.get('denied', {}).get('reasons', []))}")
    for one in row["asked"]["answers"]:
        edit = f" with {as_text(one['arguments'])}" if one["arguments"] is not None else ""
        option = f" {as_text(one['option'])}" if one["option"] else ""
        say(f"  {as_text(one['principal'])} ({as_text(one['role'])}): {one['answer']}{option}{edit}")
    for name in ("sent", "arguments", "reasons", "tally", "payload"):
        if shown.get(name):
            say(f"  {name}: {as_text(shown[name])}")
    if row["asked"]["not_sent"]:
        say(f"  a notice could not be sent: {as_text(row['asked']['not_sent'])}")
    say(f"  digest: {row['digest']}\n")


def _of(row: dict[str, Any]) -> str:
    """Who is asked: role and who has it, place in the chain, how far the quorum is."""
    asked = row["asked"]
    who = as_text(asked["held_by"])
    if asked["note"]:
        who = asked["note"] + (": nobody can answer" if asked["strict"] else f": anybody but {row['submitter']}")
    parts = [f"{as_text(asked['role'])} ({who})"]
    if len(asked["roles"]) > 1:
        then = ""
        if asked["next_at"] is not None:
            then = f", from {asked['next_at']:%Y-%m-%d %H:%M} {as_text(asked['roles'][asked['step'] + 1])}"
        parts.append(f"step {asked['step'] + 1} of {len(asked['roles'])}{then}")
    if asked["of"] > 1:
        progress = f"{asked['approved']} of {asked['quorum']} approvals, {asked['refused']} refusals"
        parts.append(f"{progress}, {asked['of']} may answer")
    return "; ".join(parts)


def approve(
    id: Id,
    reason: Reason,
    action: Action = None,
    edit: Annotated[
        Path | None, typer.Option("--edit", help="JSON file (or -) with the arguments to execute instead.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="One argument to change; may be repeated.")
    ] = None,
    digest: Digest = None,
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Approve what waits; where the panel did not decide, choose the action.

    Arguments may be edited where the task type lets counter-proposals set them; the guard judges what will be executed.

    Example: parley approve 0198c1f2-... --action decline --reason "income not shown"

    Example: parley approve 0198c1f2-... --set share=0.4 --reason "half is too much"
    """
    from control_plane.services import inbox

    who, arguments = principal(as_), _edited(id, action, edit, set_ or ())
    answered = with_engine(
        lambda engine: inbox.approve(
            engine, id, principal=who, reason=reason, action=action, digest=digest, arguments=arguments
        ),
        brief=True,
    )
    _report(answered, as_json)


def _edited(given_id: str, action: str | None, file: Path | None, some: Sequence[str]) -> dict[str, Any] | None:
    if file is None and not some:
        return None
    from control_plane.services import edits

    edit, known = edits.read_edit(file, some, sys.stdin.buffer), catalog(settings())
    return None if edit is None else with_engine(lambda engine: edits.edited(engine, known, given_id, action, edit))


def refuse(id: Id, reason: Reason, digest: Digest = None, as_: As = None, as_json: Json = False) -> None:
    """Refuse what waits: the action is not taken.

    Example: parley refuse 0198c1f2-... --reason "over our limit"
    """
    from control_plane.services import inbox

    who = principal(as_)
    answered = with_engine(
        lambda engine: inbox.refuse(engine, id, principal=who, reason=reason, digest=digest), brief=True
    )
    _report(answered, as_json)


def override(
    id: Id, reason: Reason, action: Action = None, digest: Digest = None, as_: As = None, as_json: Json = False
) -> None:
    """Consent as one operator: in place of a quorum, or against policies that may be overridden.

    The role has to be held: parley role grant NAME operator. What was overridden, by whom and why is recorded.

    Example: parley override 0198c1f2-... --reason "agreed with the board on 3 May"
    """
    from control_plane.services import inbox

    who = principal(as_)
    answered = with_engine(
        lambda engine: inbox.override(engine, id, principal=who, reason=reason, action=action, digest=digest),
        brief=True,
    )
    _report(answered, as_json)


def _report(answered: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json(answered)
        return
    asked = answered["asked"]
    note = f" ({asked['note']})" if asked["note"] else ""
    if answered["status"] == "open":
        left = f"{asked['approved']} of {asked['quorum']} approvals so far, {asked['refused']} refusals"
        say(f"answered{note}; {left}: task {answered['task_id']} waits on")
        return
    chosen = f" ({answered['option']})" if answered["option"] else ""
    say(f"{answered['status']}{chosen} by {as_text(answered['answered_by'])}{note}; task {answered['task_id']} goes on")


COMMANDS = (approvals, approve, refuse, override)
