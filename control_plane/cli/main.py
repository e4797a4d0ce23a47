"""The command `parley`."""

import asyncio
import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from control_plane.cli import (
    calibration,
    compare,
    control,
    demo,
    evaluation,
    inbox,
    inspection,
    outcomes,
    redteam,
    replay,
    retention,
    stack,
    submission,
    sweep,
    votes,
)
from control_plane.cli.audit import audit
from control_plane.cli.governance import governance
from control_plane.cli.guard import guard
from control_plane.cli.output import emit_json
from control_plane.cli.policy import policy
from control_plane.cli.role import role
from domain.errors import InputError, ParleyError
from domain.printable import printable

_INTERRUPTED = 130

app = typer.Typer(
    name="parley",
    help="Panels of persona agents that decide business tasks under policy, with every step durable, explained and "
    "measured.\n\nStart with: parley demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
GROUPS = (
    demo,
    stack,
    submission,
    inspection,
    inbox,
    control,
    sweep,
    outcomes,
    evaluation,
    compare,
    calibration,
    votes,
    redteam,
    replay,
    retention,
)
for group in GROUPS:
    for command in group.COMMANDS:
        app.command()(command)
app.add_typer(audit)
app.add_typer(guard)
app.add_typer(role)
app.add_typer(policy)
app.add_typer(governance)


def run() -> None:
    """The entry point: exit code 0 done, 1 the thing asked for failed, 2 bad usage or input, 130 interrupted."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run a command line and answer with its exit code."""
    as_json = "--json" in arguments
    try:
        code = app(args=list(arguments), prog_name="parley", standalone_mode=False) or 0
    except TyperException as problem:
        code = getattr(problem, "exit_code", 2)
        context = getattr(problem, "ctx", None)
        command = context.command_path if context is not None else "parley"
        return _fail("UsageError", f"{problem.format_message()} See `{command} --help`", code, as_json)
    except ParleyError as problem:
        code = 2 if isinstance(problem, InputError) else 1
        return _fail(type(problem).__name__, str(problem), code, as_json)
    except (KeyboardInterrupt, asyncio.CancelledError, typer.Abort):
        code = _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep the interpreter from complaining when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    # Typer turns Ctrl-C into this code by itself.
    if code == _INTERRUPTED:
        sys.stderr.write("interrupted\n")
    return int(code)


def _fail(kind: str, message: str, code: int, as_json: bool) -> int:
    sys.stderr.write(printable(f"error: {message}\n", keep="\n"))
    if as_json:
        emit_json({"error": {"kind": kind, "message": message, "exit_code": code}})
    return code


if __name__ == "__main__":
    run()
