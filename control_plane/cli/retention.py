"""What is removed: prune, erase."""

from typing import TYPE_CHECKING, Annotated

import typer

from control_plane.cli.options import As, Json
from control_plane.cli.output import emit_json, note, say, table
from control_plane.cli.session import catalog, enter_stack, principal, settings, with_engine

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from control_plane.services.erasure import Erased

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
Texts = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="TEXT", help="Another text that names the person, looked for as well. Repeatable."),
]
Now = Annotated[
    bool, typer.Option("--now", help="Go on though tasks that have not ended quote the person; what these read stays.")
]


def erase(
    subject: Subject,
    text: Texts = None,
    dry_run: DryRun = False,
    now: Now = False,
    reason: Reason = "",
    as_: As = None,
    as_json: Json = False,
) -> int:
    """Take a person's data out of everything that is kept: rows, checkpoints, memories, Prefect, reports.

    Ids, statuses, digests, other people's own payloads and the audit chain stay. Tasks that have not ended are refused:
    end them first. Exit code 1 where with --now something stays that quotes the person.

    Example: parley erase c-4711 --dry-run

    Example: parley erase c-4711 --reason "asked for on 2026-03-01"
    """
    from control_plane.services import erasure

    stack = enter_stack(quiet=True)
    given = settings()
    wanted = erasure.Wanted(
        subject, reason, principal(as_), dry_run, stack.prefect_dsn, texts=tuple(text or ()), now=now
    )

    async def work(engine: "AsyncEngine") -> erasure.Erased:
        return await erasure.erase_subject(engine, catalog(given), given, wanted)

    note("looking through everything that is kept")
    found = with_engine(work)
    if as_json:
        emit_json(found)
    else:
        _show(found)
    return 1 if found.held and not dry_run else 0


def _show(found: "Erased") -> None:
    table(("task", "type", "status"), ((one["id"], one["task_type"], one["status"]) for one in found.tasks))
    for place, number in found.places.items():
        say(f"{place}: {number}")
    if found.held:
        held = f"{sum(found.held.values())} places of {len(found.held)} tasks that have not ended"
        say(f"{held} quote the person: {', '.join(sorted(found.held))}")
        say("they stay until these tasks have ended: erase again then, with --text for each text that names the person")
    for line in found.notes:
        say(line)
    say("nothing was erased: a dry run" if found.dry_run else f"erased: {len(found.tasks)} tasks")


COMMANDS = (prune, erase)
