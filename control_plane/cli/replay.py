"""The command replay."""

from typing import Annotated, Any

import typer

from control_plane.cli.inspection import TaskId
from control_plane.cli.options import As, Json
from control_plane.cli.output import as_text, emit_json, say, table
from control_plane.cli.session import catalog, principal, settings, with_engine

Strategy = Annotated[
    str | None, typer.Option(metavar="NAME[:K=V]", help="Decide the answer under this strategy; nothing is stored.")
]
From = Annotated[
    str | None, typer.Option("--from", metavar="STAGE", help="Fork: negotiate, guard, approve or execute.")
]
Subtask = Annotated[str | None, typer.Option(help="Which subtask --from means, where there are several.")]
Execute = Annotated[bool, typer.Option("--execute", help="The fork acts for real; else its actions are a dry run.")]


def replay(
    task: TaskId,
    strategy: Strategy = None,
    stage: From = None,
    subtask: Subtask = None,
    execute: Execute = False,
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Go through a finished task once more from its records, and say stage by stage whether it comes out the same.

    Nobody is asked again and nothing is done. Exit code 1 where a stage differs.

    With --strategy: what another strategy would have decided on the recorded votes.

    With --from: a new task that goes on from that stage with what was recorded before it; a dry run by default.

    Example: parley replay 0198c1f2-...

    Example: parley replay 0198c1f2-... --strategy supermajority:theta=3/4

    Example: parley replay 0198c1f2-... --from guard
    """
    from domain.errors import InputError

    if strategy is not None and stage is not None:
        raise InputError("--strategy and --from: give one of them")
    if stage is None and (subtask is not None or execute):
        raise InputError("--subtask and --execute go with --from STAGE")
    if strategy is not None:
        _what_if(task, strategy, as_json)
    elif stage is not None:
        _fork(task, stage, subtask, execute, principal(as_), as_json)
    else:
        _prove(task, as_json)


def _prove(task: str, as_json: bool) -> None:
    from control_plane.services import replay as service

    found = with_engine(lambda engine: service.replay_task(engine, catalog(settings()), task))
    if as_json:
        emit_json(found)
    else:
        rows = ((one["stage"], one["outcome"], one["recorded"][:12]) for one in found["stages"])
        table(("stage", "outcome", "digest"), rows)
        for one in found["stages"]:
            for line in one["what"]:
                say(f"{one['stage']}: {line}")
        say(f"{'equal' if found['equal'] else 'not all equal'}: {found['digest']}")
    if found["differs"]:
        raise typer.Exit(1)


def _what_if(task: str, strategy: str, as_json: bool) -> None:
    from control_plane.services import replay as service

    found = with_engine(lambda engine: service.what_if(engine, catalog(settings()), task, strategy))
    if as_json:
        emit_json(found)
        return
    was, now = found["recorded"], found["now"]
    say(f"recorded: {was['strategy']}: {_taken(was)}, after {was['rounds']} round(s)")
    if now["identified"]:
        say(f"now: {now['strategy']}: {_taken(now)}, after {now['rounds']} round(s): {now['reason']}")
    else:
        said = "asks for a round that was never held: what would have been said is not known"
        say(f"now: {now['strategy']}: not identified: it {said}")
    say(f"tally: {as_text(now['tally'])}; margin {now['margin']:.3f}")
    if found["right"] is not None:
        say(f"right was: {found['right']}")
    say("nothing was stored")


def _taken(one: dict[str, Any]) -> str:
    return f"{one['action']}" if one["action"] is not None else f"a person ({one['kind']})"


def _fork(task: str, stage: str, subtask: str | None, execute: bool, who: str, as_json: bool) -> None:
    from control_plane.services import forks as service

    wanted = service.Fork(task, stage, subtask, execute, who)
    found = with_engine(lambda engine: service.fork_task(engine, catalog(settings()), wanted))
    if as_json:
        emit_json(found)
        return
    say(f"{found['task_id']}  goes on from {found['fork_stage']} of {task}")
    say("its actions are a dry run" if found["dry_run"] else "its actions are real")
    say(f"look at it with: parley show {found['task_id']}")


COMMANDS = (replay,)
