"""The command redteam."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, note, say, table
from control_plane.cli.session import settings
from domain.errors import InputError

if TYPE_CHECKING:
    from orchestration.redteam.report import Report

Corpora = Annotated[
    list[Path] | None,
    typer.Option("--corpus", metavar="FILE", help="CSV of text,label,source in place of our own; may be repeated."),
]


def redteam(
    corpus: Corpora = None,
    task_type: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Whose gate; else that of the red team's own pilot.")
    ] = None,
    scenarios: Annotated[
        bool, typer.Option("--scenarios", help="Every scenario, in place of a tenth of them; a few minutes.")
    ] = False,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="shipped, last, or the id of an earlier run.")
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Hold later runs to these figures; compare with nothing.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Attack a gate with texts, and whole tasks with instructions in their way; say what got through.

    Whole tasks run in a Postgres of their own; with --corpus only where --scenarios asks for them. A running stack
    keeps the figures. Exit code 1 when a source fares worse than the baseline allows, or an action got through that
    the policies do not allow.

    Examples: parley redteam | parley redteam --corpus attacks.csv --type credit_review | parley redteam --scenarios
    """
    import os

    # LangGraph reads this when it is imported.
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    from control_plane.services.redteam import SAMPLE, Request, attack

    if update_baseline and baseline is not None:
        raise InputError("redteam: give --baseline or --update-baseline, not both")
    request = Request(
        task_type=task_type,
        files=tuple(corpus or ()),
        every=1 if scenarios else None if corpus else SAMPLE,
        baseline=baseline,
        update=update_baseline,
    )
    done = attack(settings(), request, (lambda line: None) if as_json else note)
    if as_json:
        told = {"passed": done.report.passed, "failures": done.report.failures, "kept": done.kept}
        emit_json({**done.report.model_dump(mode="json"), **told})
    else:
        _show(done.report)
        say(f"kept as run {done.report.id}" if done.kept else "not kept: no stack is running")
        if update_baseline:
            say(f"later runs are held to {done.updated}")
    return 0 if done.report.passed else 1


def _show(report: "Report") -> None:
    from orchestration.redteam.report import TEXT_COLUMNS, scenario_lines, text_rows

    table(TEXT_COLUMNS, text_rows(report), title=f"texts through the gate of {report.task_type}")
    if report.tricks:
        say("")
        table(("scenario", "held", ""), ((one.name, one.held, one.told) for one in report.tricks))
    if report.scenarios is not None:
        say("")
        for line in scenario_lines(report.scenarios):
            say(line)
    say("")
    for failure in report.failures:
        say(f"FAILED {failure}")
    compared = f"compared with {report.baseline}" if report.limits.floors else "no baseline to compare with"
    say(f"{'passed' if report.passed else 'failed'}, {compared}")


COMMANDS = (redteam,)
