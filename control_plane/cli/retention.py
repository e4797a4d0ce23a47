"""What is removed: prune, erase."""

from typing import TYPE_CHECKING, Annotated

import typer

from control_plane.cli.options import As, Json
from control_plane.cli.output import emit_json, say, table
from control_plane.cli.session import catalog, enter_stack, principal, settings, with_engine

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

OlderThan = Annotated[str, typer.Option("--older-than", metavar="AGE", help="90m, 12h, 30d, 4w since the task's end.")]


def prune(older_than: OlderThan = "30d", as_json: Json = False) -> None:
    """Remove the checkpoints of tasks that ended long ago; records, events and audit stay.

    The flow prune does the same every night.

    Example: parley prune --older-than 30d
    """
    from orchestration import retention

    age = retention.age_of(older_than)
    found = with_engine(lambda engine: retention.prune(engine, age))
    if as_json:
        emit_json(found)
        return
    say(f"{found.tasks} tasks: {found.rows} rows of checkpoints removed, {found.bytes} bytes")


Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="The person, as the task type's subject field or key.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be erased, and erase nothing.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with each erased task. Name nobody in it.")]


def erase(
    subject: Subject, dry_run: DryRun = False, reason: Reason = "", as_: As = None, as_json: Json = False
) -> None:
    """Take a person's data out of everything that is kept: rows, checkpoints, memories, Prefect, reports.

    Ids, statuses, digests and the audit chain stay. Tasks that have not ended are refused: end them first.

    Example: parley erase 4711 --dry-run

    Example: parley erase 4711 --reason "asked for on 2026-03-01"
    """
    from control_plane.services import erasure

    stack = enter_stack(quiet=True)
    given = settings()
    wanted = erasure.Wanted(subject, reason, principal(as_), dry_run, stack.prefect_dsn)

    async def work(engine: "AsyncEngine") -> erasure.Erased:
        return await erasure.erase_subject(engine, catalog(given), given, wanted)

    found = with_engine(work)
    if as_json:
        emit_json(found)
        return
    table(("task", "type", "status"), ((one["id"], one["task_type"], one["status"]) for one in found.tasks))
    for place, number in found.places.items():
        say(f"{place}: {number}")
    for line in found.notes:
        say(line)
    say("nothing was erased: a dry run" if dry_run else f"erased: {len(found.tasks)} tasks")


COMMANDS = (prune, erase)
