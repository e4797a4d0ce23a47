"""Control of a task: cancel, pause, resume."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from control_plane.cli.inspection import TaskId
from control_plane.cli.options import As, Json
from control_plane.cli.output import emit_json, note, say
from control_plane.cli.session import principal, settings, with_engine

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from control_plane.services.control import Controlled

Why = Annotated[str, typer.Option("--reason", help="Why; kept with the event.")]


def cancel(task: TaskId, reason: Why = "", as_: As = None, as_json: Json = False) -> None:
    """Cancel a task: nothing more is called or done for it. Exit code 1 when it has ended already.

    What is being called at that moment is awaited for PARLEY_CANCEL_GRACE_SECONDS. What was done is undone
    where the task type says how (`compensate`), and stays done elsewhere.

    Example: parley cancel 0198c1f2-... --reason "withdrawn by the applicant"
    """
    _control(task, "cancel", reason, as_, as_json)


def pause(task: TaskId, reason: Why = "", as_: As = None, as_json: Json = False) -> None:
    """Pause a task: it stops before its next step. Time paused does not count towards its deadline.

    Example: parley pause 0198c1f2-... --reason "waiting for papers"
    """
    _control(task, "pause", reason, as_, as_json)


def resume(task: TaskId, reason: Why = "", as_: As = None, as_json: Json = False) -> None:
    """Let a paused task go on. Exit code 1 when it is not paused.

    Example: parley resume 0198c1f2-...
    """
    _control(task, "resume", reason, as_, as_json)


_SAID = {
    "cancel": "cancelled: what is in flight ends first",
    "pause": "paused: it stops before its next step",
    "resume": "goes on",
}


def _control(task: str, name: str, reason: str, as_: str | None, as_json: bool) -> None:
    from control_plane.services.control import LOCK_SECONDS, control
    from domain.errors import RowHeld
    from storage.repositories.control import Control

    who = principal(as_)

    # By then Postgres has ended what stood still with the task's row.
    until = time.monotonic() + settings().lease_seconds + 2 * LOCK_SECONDS

    async def ask(engine: "AsyncEngine") -> "Controlled":
        told = False
        while True:
            try:
                return await control(engine, task, Control(name), principal=who, reason=reason)
            except RowHeld as held:
                if time.monotonic() >= until:
                    raise
                if not told:
                    note(f"{held}; waiting")
                told = True

    done = with_engine(ask, brief=True)
    if as_json:
        emit_json(done)
    else:
        say(f"task {task} {_SAID[name]}" + ("" if done.changed else " (asked for before)"))


COMMANDS = (cancel, pause, resume)
