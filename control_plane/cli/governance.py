"""The command governance report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, say, table
from control_plane.cli.session import catalog, settings, with_engine

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncEngine

    from evaluation.governance.report import Made
    from evaluation.governance.summary import Summary
    from evaluation.governance.window import Window

governance = typer.Typer(
    name="governance",
    help="What was decided, asked, overridden and denied, each with its place in the audit chain.",
    no_args_is_help=True,
)


@governance.callback()
def _group() -> None:
    """A group stays one with a single command."""


Type = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="One task type; else all.")]
Since = Annotated[
    str | None, typer.Option(metavar="WHEN", help="2026-01-31, 2026-01-31T12:00Z, or an age: 24h, 7d. Else the first.")
]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Up to, and without, this moment; else now.")]
By = Annotated[str | None, typer.Option(help="Count denials by day, week or month; else what suits the time.")]
Format = Annotated[str, typer.Option("--format", help="html: a page; csv: every row; json: every row and the summary.")]
Out = Annotated[Path | None, typer.Option(help="The file to write; else one among the stack's reports.")]


@governance.command()
def report(
    task_type: Type = None,
    since: Since = None,
    until: Until = None,
    by: By = None,
    format_: Format = "html",
    out: Out = None,
    as_json: Json = False,
) -> int:
    """Report verdicts, approvals, overrides, denials and what went wrong. Exit code 1 where a chain does not verify.

    Example: parley governance report --since 7d

    Example: parley governance report --type credit_review --since 2026-03-01 --until 2026-04-01 --format csv
    """
    import uuid
    from datetime import UTC, datetime

    from control_plane.cli.progress import count_bar
    from domain.errors import InputError
    from evaluation.governance.report import FORMATS, Made, make_report
    from orchestration.governing import files_of, under_newest

    if format_ not in FORMATS:
        raise InputError(f"--format {format_}: no such format: one of {', '.join(FORMATS)}")
    given, now, report_id = settings(), datetime.now(UTC), str(uuid.uuid4())
    if task_type is not None:
        catalog(given).task_type(task_type)
    window = _window(task_type, since, until, by, now)
    files = {format_: out} if out is not None else files_of(given.home, report_id, [format_])

    async def work(engine: "AsyncEngine") -> Made:
        with count_bar("tasks") as follow:
            under = under_newest(given.home)
            return await make_report(engine, window, under, files, report_id=report_id, made_at=now, follow=follow)

    made = with_engine(work)
    if as_json:
        emit_json(made)
    else:
        _show(made)
    return 0 if made.summary.chains.hold else 1


def _window(task_type: str | None, since: str | None, until: str | None, by: str | None, now: "datetime") -> "Window":
    from control_plane.services.listing import parse_since
    from evaluation.governance.window import Window

    start = parse_since(since, now) if since else None
    end = parse_since(until, now, "--until") if until else now
    return Window(since=start, until=end, task_type=task_type, by=by).check()


def _show(made: "Made") -> None:
    summary = made.summary
    denials = summary.denials.by_policy
    if denials:
        table(("policy", "denials"), ((policy, sum(some.values())) for policy, some in denials.items()))
    for words in _words(summary):
        say(words)
    for name, path in made.files.items():
        say(f"{name}: {path}")
        say(f"sha256: {made.sha256[name]}")


def _words(summary: "Summary") -> list[str]:
    from evaluation.words import percent, seconds

    asked, chains, ended = summary.approvals, summary.chains, summary.ended_in_all
    share = percent(summary.decided_by_people / ended if ended else None)
    found = [
        f"{summary.by_kind.get('verdict', 0)} verdicts, {summary.denials.total} denials, {summary.halts} halts, "
        f"{sum(summary.guard_errors.values())} guard failures",
        f"{ended} tasks ended, {share} of them decided by people",
        f"asked of people: {asked.asked}; approved {asked.approved}, refused {asked.refused}, "
        f"overridden {asked.overridden}, not answered in time {asked.expired + asked.escalated + asked.defaulted}; "
        f"median time to a decision {seconds(asked.median_seconds)}",
        f"unknown effects: {summary.effects_unknown}",
        f"the chains of {chains.tasks} tasks, {chains.entries} entries: "
        + ("verify" if chains.hold else f"{chains.problems} problems: parley audit verify"),
    ]
    if chains.anchor is None:
        return [*found, "under no anchor: a cut tail or a removed task is not seen; make one: parley audit anchor"]
    return [*found, f"under the anchor of {chains.anchor}: it holds {chains.rows_anchored} of {summary.rows} rows"]
