"""The command outcome."""

from pathlib import Path
from typing import Annotated

import typer

from control_plane.cli.options import As, Json
from control_plane.cli.output import as_text, emit_json, note, say
from control_plane.cli.session import catalog, principal, settings, with_engine


def outcome(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="A task's id.")] = None,
    outcome: Annotated[str | None, typer.Argument(metavar="LABEL", help="A label of the type's outcome_map.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Many at once, from this CSV.")] = None,
    key: Annotated[str | None, typer.Option(help="Its column with the case's key.")] = None,
    label: Annotated[str | None, typer.Option(help="Its column with the label.")] = None,
    task_type: Annotated[str | None, typer.Option("--type", help="With --csv: only tasks of this type.")] = None,
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Record what turned out to be right, for one task or for every task made from a CSV's cases.

    Examples: parley outcome 0198c1f2-... bad | parley outcome --csv applications.csv --key Id --label Status
    """
    from domain.errors import InputError

    if csv is not None and key is not None and label is not None and task is None:
        _bulk(csv, key, label, task_type, principal(as_), as_json)
    elif csv is None and task is not None and outcome is not None:
        _one(task, outcome, principal(as_), as_json)
    else:
        raise InputError("outcome: give either TASK LABEL, or --csv FILE --key COLUMN --label COLUMN")


def _one(task: str, label: str, who: str, as_json: bool) -> None:
    from control_plane.services import outcomes

    found = catalog(settings())
    types = {name: found.task_type(name) for name in found.names()}
    recorded = with_engine(lambda engine: outcomes.record_one(engine, types, task, label, who))
    if as_json:
        emit_json(recorded)
        return
    say(f"task {as_text(task)}: {as_text(label)}, so {recorded['right_action']} was right")


def _bulk(csv: Path, key: str, label: str, task_type: str | None, who: str, as_json: bool) -> None:
    from control_plane.services import outcomes
    from domain.errors import CaseFileError

    found = catalog(settings())
    names = found.names() if task_type is None else (found.task_type(task_type).name,)
    types = {name: found.task_type(name) for name in names}
    file = outcomes.read_labels(csv, key, label)
    recorded = with_engine(lambda engine: outcomes.record_cases(engine, types, file.cases, who))
    bad = sorted((*file.bad, *recorded.bad), key=lambda problem: problem.line)
    if recorded.tasks == 0:
        why = f"line {bad[0].line}: {bad[0].problem}" if bad else "no task was made from any of its cases"
        raise CaseFileError(f"{csv}: nothing recorded: {why}")
    if as_json:
        unmatched = list(recorded.unmatched)
        emit_json({"tasks": recorded.tasks, "cases": recorded.cases, "unmatched": unmatched, "bad": bad})
        return
    for problem in bad:
        note(f"line {problem.line}: {problem.problem}")
    say(f"outcomes recorded: {recorded.tasks}; cases without a task: {len(recorded.unmatched)}; bad lines: {len(bad)}")


COMMANDS = (outcome,)
