"""Roles: grant, revoke, list."""

from typing import Annotated, Any

import typer

from control_plane.cli.options import As, Json
from control_plane.cli.output import as_text, emit_json, say, table
from control_plane.cli.session import catalog, principal, settings, with_engine

role = typer.Typer(
    name="role",
    help="Say who may answer for what.\n\nA request to people names a role. While nobody holds it, anybody but the "
    "submitter may answer, unless its task type is strict; overriding needs the role always. Once somebody is an "
    "admin, only admins change roles. Every change is in an audit chain.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Who: as given with --as or PARLEY_PRINCIPAL.")]
Role = Annotated[str, typer.Argument(metavar="ROLE", help="approver, operator, admin, ... or one a task type names.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the change.")]


@role.command()
def grant(name: Name, role: Role, reason: Reason, as_: As = None, as_json: Json = False) -> None:
    """Give a role.

    Example: parley role grant bob approver --reason "joined credit risk"
    """
    from control_plane.services import roles

    who, known = principal(as_), roles.known_roles(catalog(settings()))
    _report(with_engine(lambda engine: roles.grant(engine, known, name, role, by=who, reason=reason)), "holds", as_json)


@role.command()
def revoke(name: Name, role: Role, reason: Reason, as_: As = None, as_json: Json = False) -> None:
    """Take a role away. What was answered in it stands.

    Example: parley role revoke bob approver --reason "left the team"
    """
    from control_plane.services import roles

    who = principal(as_)
    changed = with_engine(lambda engine: roles.revoke(engine, name, role, by=who, reason=reason))
    _report(changed, "does not hold", as_json)


def _report(change: Any, what: str, as_json: bool) -> None:
    if as_json:
        emit_json(change.model_dump())
        return
    already = "" if change.changed else " already"
    say(f"{as_text(change.principal)} {what} {as_text(change.role)}{already}")
    if change.note:
        say(change.note)


@role.command("list")
def list_(
    all_of_them: Annotated[bool, typer.Option("--all", help="Also those that were revoked.")] = False,
    as_json: Json = False,
) -> None:
    """List who holds which role, since when and by whom.

    Example: parley role list --all
    """
    from control_plane.services import roles

    found = with_engine(lambda engine: roles.list_roles(engine, all_of_them=all_of_them))
    if as_json:
        emit_json({"roles": found})
        return
    columns = ["role", "principal", "granted_at", "granted_by", "reason"]
    if all_of_them:
        columns += ["revoked_at", "revoked_by", "revoke_reason"]
    table(columns, ([row[name] for name in columns] for row in found))
    if not found:
        say("no role is assigned: anybody but a task's submitter may answer for it, but for strict task types")
