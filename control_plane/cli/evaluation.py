"""The command evaluate."""

from typing import Annotated, Any

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, say, table
from control_plane.cli.session import catalog, enter_stack, settings

Batches = Annotated[list[str] | None, typer.Option("--batch", help="Only this batch; may be given again.")]
References = Annotated[list[str] | None, typer.Option("--reference-batch", help="Compare with it; may be repeated.")]


def evaluate(
    task_type: Annotated[str, typer.Argument(metavar="TYPE", help="A task type of the catalog.")],
    since: Annotated[str | None, typer.Option(help="2026-01-31, 2026-01-31T12:00Z, or an age: 90m, 24h, 7d.")] = None,
    batch: Batches = None,
    reference_batch: References = None,
    as_json: Json = False,
) -> None:
    """Say how good the decisions were, and write the reports.

    Example: parley evaluate credit_review --since 7d
    """
    from control_plane.services.evaluation import evaluate_pilot
    from control_plane.services.listing import parse_since

    catalog(settings()).task_type(task_type)
    start = parse_since(since) if since else None
    enter_stack(quiet=True)
    found = evaluate_pilot(task_type, start, batch or None, reference_batch or None)
    if as_json:
        emit_json(found)
        return
    report(found)


def report(found: dict[str, Any]) -> None:
    """Print the table and where the reports are."""
    from control_plane.services.evaluation import as_rows

    table(("metric", "this period", "reference"), as_rows(found))
    if not found["trusted"]:
        say("the data's own checks failed: do not trust these numbers before reading the report")
    for name in ("html", "evidently_html", "json", "markdown"):
        if found[name]:
            say(f"{name}: {found[name]}")


COMMANDS = (evaluate,)
