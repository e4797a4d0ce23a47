"""The audit chain: verify, anchor, export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, say, table
from control_plane.cli.session import settings, with_engine

if TYPE_CHECKING:
    from control_plane.services.audit import Verified

audit = typer.Typer(
    name="audit",
    help="Show that nothing was changed behind the platform's back.\n\nEvery event of a task is an entry of its audit "
    "chain, each bound to the one before. An edit, or a cut in the middle, is found by verifying. A tail that was cut "
    "or a task that was removed is found by comparing with an anchor: a signed root over all chains, in a file that "
    "you keep outside the database.",
    no_args_is_help=True,
)

_AnchorsFile = Annotated[
    Path | None, typer.Option("--anchors", help="The file of anchors; else the one in the state folder.")
]
_SHOWN = 50


@audit.command()
def verify(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="One task's id; else all tasks.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file that `parley audit export` wrote; needs no stack.")] = None,
    anchors: _AnchorsFile = None,
    key: Annotated[
        str | None, typer.Option(help="With --file: the public key that its anchor has to be signed by.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Check the chains, and the rows that they speak for. Exit code 1 where something was changed, with the place.

    Example: parley audit verify

    Example: parley audit verify --file evidence.json --key 3b6a27bc...
    """
    from control_plane.services import audit as service
    from domain.errors import InputError

    if file is not None:
        if task is not None or anchors is not None:
            raise InputError("--file is verified by itself: leave TASK and --anchors out")
        from control_plane.services.evidence import verify_file

        found = verify_file(file, key)
    elif key is not None:
        raise InputError("--key is for --file: a stack's own key is known; name other anchors with --anchors")
    else:
        home = settings().home
        found = with_engine(lambda engine: service.verify(engine, home, task, anchors))
    if as_json:
        problems = [problem._asdict() for problem in found.problems]
        emit_json({"holds": found.holds, **vars(found), "problems": problems})
    else:
        _show(found)
    return 0 if found.holds else 1


def _show(found: "Verified") -> None:
    columns = ("task", "entry", "kind", "what")
    if found.problems:
        table(columns, found.problems[:_SHOWN])
    if len(found.problems) > _SHOWN:
        say(f"and {len(found.problems) - _SHOWN} more: --json")
    extras = [f"{found.erased} erased"] if found.erased else []
    extras += [f"{found.unchained} tasks older than the chain"] if found.unchained else []
    aside = f" ({', '.join(extras)})" if extras else ""
    said = "holds" if found.holds else f"{len(found.problems)} problems"
    say(f"{found.tasks} tasks, {found.entries} entries{aside}: {said}")
    if found.note is not None:
        say(found.note)
    if found.anchor is None:
        say("compared with no anchor: a cut tail or a removed task is not seen; make one: parley audit anchor")
    else:
        say(f"compared with the anchor of {found.anchor}, signed by {found.key}")


@audit.command()
def anchor(
    out: Annotated[Path | None, typer.Option(help="The file to append to; else one in the state folder.")] = None,
    as_json: Json = False,
) -> int:
    """Sign the root over all chains and append it to a file. Exit code 1 where an earlier anchor no longer fits.

    Keep the file where whoever can write the database cannot. Its key lies in the state folder.

    Example: parley audit anchor --out /mnt/elsewhere/anchors.jsonl
    """
    from orchestration import anchors as service

    home = settings().home
    made = with_engine(lambda engine: service.anchor(engine, home, out))
    if as_json:
        problems = [problem._asdict() for problem in made.problems]
        plain = None if made.header is None else made.header.plain()
        emit_json({"file": made.path, "anchor": plain, "changed": made.changed, "problems": problems})
    elif made.header is None:
        table(("task", "entry", "kind", "what"), made.problems[:_SHOWN])
        say("nothing was anchored")
    else:
        header = made.header
        say(f"{header.count} tasks, {made.changed} of them changed: root {header.root} in {made.path}")
        say(f"signed by {header.key}")
    return 0 if made.header is not None else 1


@audit.command()
def export(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task's id.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; else stdout.")] = None,
    anchors: _AnchorsFile = None,
) -> None:
    """Write one task's evidence: plan, ballots, verdicts, approvals, actions, memories, chain, the anchor's proof.

    Example: parley audit export 0198c1f2-... --out evidence.json
    """
    from control_plane.services import evidence as service
    from domain.errors import InputError

    home = settings().home
    found = with_engine(lambda engine: service.export(engine, home, task, anchors))
    if out is None:
        emit_json(found)
        return
    import json

    try:
        out.write_text(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    except OSError as problem:
        raise InputError(f"--out {out}: {problem.strerror}") from None
    say(f"{out}: check it with parley audit verify --file {out}")
