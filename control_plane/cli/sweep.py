"""Killing a task at every named point."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, note, say
from control_plane.cli.session import catalog, settings
from control_plane.cli.submission import Type

if TYPE_CHECKING:
    from control_plane.services.sweep import Swept


def sweep(
    task_type: Type,
    cases: Annotated[Path | None, typer.Option(metavar="FILE", help="Cases; else the first of the pilot's.")] = None,
    times: Annotated[int, typer.Option(min=1, help="Kill at the first so many times that a point is reached.")] = 2,
    point: Annotated[str | None, typer.Option(help="This point alone, such as execute:after_call.")] = None,
    as_json: Json = False,
) -> int:
    """Kill a worker at every named point, let another finish, and compare with an undisturbed run.

    It works on a Postgres of its own, and what would be sent outside is only written down there. Exit code 1 when a
    task ends otherwise than undisturbed.

    Example: parley sweep credit_review
    """
    import asyncio
    import os
    import tempfile

    # The workers that are forked for it import LangGraph, which reads this then.
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    from control_plane.services.sweep import Request, Sweep, cases_of
    from deployments.postgres import start_postgres
    from domain import faults
    from domain.errors import InputError

    if point is not None and point not in faults.POINTS:
        raise InputError(f"--point {point}: no such point: one of {', '.join(faults.POINTS)}")

    given = settings()
    kind = catalog(given).task_type(task_type)
    chosen = cases_of(kind, cases)
    note(f"killing {task_type} at every point, in a Postgres of its own; this takes a minute or two")
    with tempfile.TemporaryDirectory(prefix="parley-sweep-") as folder:
        server = start_postgres(Path(folder), given.pg_bin)
        try:
            told = (lambda one: None) if as_json else _tell
            request = Request(told, times, faults.POINTS if point is None else (point,))
            done, unreached = asyncio.run(Sweep(server.cluster.dsn("postgres"), kind, chosen, request).run())
        finally:
            server.discard()
    wrong = sum(bool(one.problems) for one in done)
    if as_json:
        emit_json({"points": done, "not_reached": unreached, "wrong": wrong})
    else:
        say(f"{len(done)} kills, {wrong} ended otherwise than undisturbed")
        if unreached:
            say(f"not on the way of these cases: {', '.join(unreached)}")
    return 1 if wrong else 0


def _tell(one: "Swept") -> None:
    say(f"{one.point}: {'; '.join(one.problems) or 'ended as undisturbed'} (case {one.case}, {one.status})")


COMMANDS = (sweep,)
